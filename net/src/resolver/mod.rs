//! Names to addresses: DNS over the sockets of whatever [`Network`] there is.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::net::IpAddr;
use core::pin::Pin;
use mwasm_ports::Clock;
use mwasm_ports::network::{NetError, Network};

/// Wakes somebody at a time.
pub trait Timer: Send + Sync {
    /// Ready at `deadline_ns` on the monotonic clock; may end early.
    fn sleep_until(&self, deadline_ns: u64) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Looks names up, and remembers what it found.
pub struct Resolver {
    _clock: Arc<dyn Clock>,
    _timer: Arc<dyn Timer>,
}

impl Resolver {
    /// A resolver with an empty cache. `seed` must be a secret: the numbers of queries follow from it.
    pub fn new(clock: Arc<dyn Clock>, timer: Arc<dyn Timer>, _seed: u64) -> Self {
        Self { _clock: clock, _timer: timer }
    }

    /// The addresses of `name`, which may also be an address as text; never empty.
    pub async fn resolve(&self, _network: &Arc<dyn Network>, _name: &str) -> Result<Vec<IpAddr>, NetError> {
        Err(NetError::TemporaryResolverFailure)
    }
}
