//! Names to addresses, where the policy lets them be looked up.
//!
//! Addresses as text and the names of this machine itself (RFC 6761, section 6.3) need no server and so no grant: what may be done with
//! the addresses is asked when it is done.

use super::network;
use crate::http::idle::{Idle, WayToIdle};
use crate::policy::{Policy, canonical_name};
use crate::reactor::Reactor;
use crate::state::State;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::pin::Pin;
use mwasm_net::resolver::{Resolver, Timer};
use mwasm_ports::Ports;
use mwasm_ports::network::{NetError, Network};

/// What a look-up comes to.
pub type Lookup = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, NetError>> + Send>>;

/// Looks names up. A trait, so that images that look nothing up do not contain the resolver.
pub trait Resolve: Send + Sync {
    /// The addresses of a name; never none.
    fn resolve(self: Arc<Self>, network: Arc<dyn Network>, name: String) -> Lookup;
    /// The way to connections that were made to named servers, and wait to be used again.
    fn way_to_idle(&self) -> &WayToIdle;
}

/// The resolver of an app.
struct AppResolver {
    resolver: Resolver,
    way_to_idle: WayToIdle,
}

impl Resolve for AppResolver {
    fn resolve(self: Arc<Self>, network: Arc<dyn Network>, name: String) -> Lookup {
        Box::pin(async move { self.resolver.resolve(&network, &name).await })
    }

    fn way_to_idle(&self) -> &WayToIdle {
        &self.way_to_idle
    }
}

/// The reactor, as the resolver needs it.
struct Alarm(Arc<Reactor>);

impl Timer for Alarm {
    fn sleep_until(&self, deadline_ns: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.0.sleep_until(deadline_ns))
    }
}

/// Looks names up for an app. Its parts are shared: it may outlive the call that it was made for.
#[derive(Clone)]
pub struct Names {
    pub(super) network: Arc<dyn Network>,
    pub(super) policy: Arc<Policy>,
    resolver: Arc<dyn Resolve>,
}

impl Names {
    /// For the app of a state. There is one resolver for all, with one cache.
    pub fn of(state: &mut State) -> Result<Self, NetError> {
        let network = network(state)?;
        let resolver = match &state.resolver {
            Some(resolver) => resolver.clone(),
            None => {
                let alarm = Arc::new(Alarm(state.reactor.clone()));
                let resolver = Resolver::new(state.ports.clock.clone(), alarm, seed(&state.ports));
                state.resolver.insert(Arc::new(AppResolver { resolver, way_to_idle: WayToIdle::default() })).clone()
            }
        };
        Ok(Self { network, policy: state.policy.clone(), resolver })
    }

    /// The app's connections that wait to be used again.
    pub fn idle(&self, state: &mut State) -> Option<Arc<Idle>> {
        Idle::of(state, self.resolver.way_to_idle())
    }

    /// Starts to look a name up. Text that is no name, and names that are not granted, are refused at once.
    pub fn start(&self, name: &str) -> Result<Lookup, NetError> {
        if let Some(known) = without_server(name) {
            return Ok(Box::pin(async move { Ok(known) }));
        }
        let name = canonical_name(name).ok_or(NetError::InvalidArgument)?;
        self.policy.lookup(&name)?;
        let (policy, looked_up) =
            (self.policy.clone(), self.resolver.clone().resolve(self.network.clone(), name.clone()));
        Ok(Box::pin(async move {
            let found = looked_up.await?;
            policy.found(&name, &found);
            Ok(found)
        }))
    }
}

/// What is known of a name without anybody being asked.
fn without_server(name: &str) -> Option<Vec<IpAddr>> {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(alloc::vec![address]);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost").then(|| alloc::vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
}

/// Something that an attacker beside the network cannot guess, as well as the machine can: from its source of randomness, if the image
/// has one, otherwise from its clocks.
fn seed(ports: &Ports) -> u64 {
    let mut bytes = [0; 8];
    match ports.entropy.as_ref().map(|entropy| entropy.fill(&mut bytes)) {
        Some(Ok(())) => u64::from_le_bytes(bytes),
        _ => ports.clock.wall().as_ns() ^ ports.clock.monotonic_ns().rotate_left(32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_names_need_no_server() {
        let loopback = || Some(alloc::vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        for name in ["localhost", "LocalHost.", "app.localhost"] {
            assert_eq!(without_server(name), loopback(), "{name}");
        }
        assert_eq!(without_server("10.0.0.1"), Some(alloc::vec![[10, 0, 0, 1].into()]));
        assert_eq!(without_server("[::1]"), without_server("::1"));
        assert!(without_server("::1").is_some());
        for name in ["notlocalhost", "localhost.org", "10.0.0", "10.0.0.1.", ""] {
            assert_eq!(without_server(name), None, "{name}");
        }
    }
}
