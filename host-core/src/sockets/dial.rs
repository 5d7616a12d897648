//! From a name and a port to a connection, for interfaces that hide addresses from the app (`wasi:http`, `mwasm:net`).

use super::address::Family;
use super::names::Names;
use super::poll_configured;
use crate::http::idle::Idle;
use crate::state::State;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::net::SocketAddr;
use mwasm_plan::net::Protocol;
use mwasm_ports::network::{NetError, TcpOptions, TcpStream};

/// Makes connections for an app. Its parts are shared: it may outlive the call that it was made for.
#[derive(Clone)]
pub struct Dialer(Names);

impl Dialer {
    /// For the app of a state.
    pub fn of(state: &mut State) -> Result<Self, NetError> {
        Names::of(state).map(Self)
    }

    /// The app's connections that wait to be used again.
    pub fn idle(&self, state: &mut State) -> Option<Arc<Idle>> {
        self.0.idle(state)
    }

    /// Connects to a host by TCP, as far as the policy grants it. `host` is a name or an address (an IPv6 address in brackets or not).
    /// Its addresses are tried one by one, best first; the first error is told if all fail.
    pub async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn TcpStream>, NetError> {
        let mut failure = None;
        for address in self.0.start(host)?.await? {
            match self.connect_to(SocketAddr::new(address.to_canonical(), port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or(NetError::NameUnresolvable))
    }

    /// Connects to an address by TCP, if the policy grants it.
    pub async fn connect_to(&self, remote: SocketAddr) -> Result<Box<dyn TcpStream>, NetError> {
        let (network, family) = (&*self.0.network, Family::of(remote.ip()));
        family.check_remote(remote)?;
        self.0.policy.connect(Protocol::Tcp, remote)?;
        poll_fn(|context| poll_configured(network, remote.ip(), context)).await?;
        let stream = network.bind_tcp(family.any())?.connect(remote, &TcpOptions::default())?;
        poll_fn(|context| stream.poll_connected(context)).await?;
        Ok(stream)
    }
}
