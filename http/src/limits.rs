//! How much the other side may ask of this one's memory.

/// The most fields of a head or of trailers.
pub const MAX_FIELDS: usize = 100;
/// The most bytes of names and values that [`Headers`](crate::Headers) made by an app hold.
pub const MAX_FIELDS_BYTES: usize = 64 << 10;
/// Room for what comes, at first, in bytes: a usual head fits. It is doubled as long as reads fill it.
pub(crate) const FIRST_BUFFER_BYTES: usize = 4 << 10;
/// Room for what comes of a body, at most, in bytes (more only if heads may be larger).
pub(crate) const BODY_BUFFER_BYTES: usize = 32 << 10;
/// How much of a body waits to be sent before [`send_body`](crate::server::Connection::send_body) takes no more, in bytes.
pub(crate) const SEND_BUFFER_BYTES: usize = 32 << 10;
/// How much of a request's body is read and thrown away after the answer, so that the connection can be used again, in bytes. Beyond it,
/// closing is cheaper.
pub(crate) const MAX_DRAIN_BYTES: u64 = 256 << 10;
/// Longest line that starts a chunk, in bytes: its size and extensions, which mean nothing here.
pub(crate) const MAX_CHUNK_LINE_BYTES: usize = 256;
/// How many answers of kind 1xx a client skips before the final one.
pub(crate) const MAX_INTERIM: u32 = 16;

/// What a connection accepts at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The first line and header fields of a message, and the trailer fields of one, each in bytes.
    pub max_head_bytes: usize,
    /// The body of a message, in bytes, without what frames it.
    pub max_body_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_head_bytes: 16 << 10, max_body_bytes: 1 << 30 }
    }
}
