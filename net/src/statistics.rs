//! Plain counters: what a stack did so far.

/// What a stack did since it was made. Copies of payload between buffers are counted in bytes, so that figures of a transfer can be
/// read off: each byte is copied once from the device to the socket, and once from the socket to the app, and back likewise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Frames that the device gave.
    pub frames_received: u64,
    /// Frames that were given to the device.
    pub frames_sent: u64,
    /// Packets that never left: from one of this machine's sockets to another.
    pub packets_looped: u64,
    /// Frames that were not understood, not for this machine, or had a wrong checksum.
    pub frames_dropped: u64,
    /// Requests for a connection that were dropped, because a backlog or the table of sockets was full.
    pub connections_dropped: u64,
    /// Datagrams that were dropped, because a queue was full or no way led there.
    pub datagrams_dropped: u64,
    /// Bytes that were copied between a socket's buffer and the app's.
    pub bytes_copied_app: u64,
    /// Bytes of frames that were copied between the device's buffers and others.
    pub bytes_copied_device: u64,
    /// TCP connections that are alive now, closing ones included.
    pub connections: u64,
    /// Requests for a connection that were answered, and whose sender has not shown yet that it is there.
    pub half_open: u64,
    /// Closed connections whose stray packets are waited for.
    pub time_waits: u64,
}
