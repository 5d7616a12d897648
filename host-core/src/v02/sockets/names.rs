//! `wasi:sockets/ip-name-lookup`.

use super::error::ErrorCode;
use super::network::Network;
use crate::interface::{handle, interface, item, plain};
use crate::reactor::{Reactor, Readiness};
use crate::sockets::address::{Address, addresses};
use crate::sockets::names::{Lookup, Names};
use crate::state::Event;
use crate::v02::io::Pollable;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::IntoIter;
use core::task::{Context, Poll};
use mwasm_ports::network::NetError;
use spin::Mutex;
use wasmtime::component::Resource;

/// `wasi:sockets/ip-name-lookup.resolve-address-stream`. Goes on when somebody waits for it or asks.
struct Stream(Mutex<Progress>);

enum Progress {
    Under(Lookup),
    Found(IntoIter<Address>),
    Failed(NetError),
}

impl Stream {
    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let progress = &mut *self.0.lock();
        if let Progress::Under(lookup) = progress {
            *progress = match lookup.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(found)) => Progress::Found(addresses(found).into_iter()),
                Poll::Ready(Err(error)) => Progress::Failed(error),
            };
        }
        Poll::Ready(())
    }

    fn next(&self, reactor: &Reactor) -> Result<Option<Address>, ErrorCode> {
        let _ = reactor.now(|context| self.poll(context));
        match &mut *self.0.lock() {
            Progress::Under(_) => Err(ErrorCode::WouldBlock),
            Progress::Found(addresses) => Ok(addresses.next()),
            Progress::Failed(error) => Err((*error).into()),
        }
    }
}

impl Readiness for Stream {
    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(context)
    }
}

interface! {
    /// `wasi:sockets/ip-name-lookup@0.2`.
    IP_NAME_LOOKUP = "wasi:sockets/ip-name-lookup", "0.2", "wasi:sockets/ip-name-lookup@0.2.0" {
        item, "resolve-address-stream", handle::<Arc<Stream>>;
        plain, "[method]resolve-address-stream.resolve-next-address", |context, (stream,): (Resource<Arc<Stream>>,)| {
            let state = context.data();
            Ok((state.table.get(&stream)?.next(&state.reactor),))
        };
        plain, "[method]resolve-address-stream.subscribe", |mut context, (stream,): (Resource<Arc<Stream>>,)| {
            let stream = context.data().table.get(&stream)?.clone();
            Ok((context.data_mut().table.push(Pollable(Event::Source(stream)))?,))
        };
        plain, "resolve-addresses", |mut context, (_network, name): (Resource<Network>, String)| {
            let state = context.data_mut();
            let lookup = Names::of(state).and_then(|names| names.start(&name));
            Ok((match lookup {
                Ok(lookup) => Ok(state.table.push(Arc::new(Stream(Mutex::new(Progress::Under(lookup)))))?),
                Err(error) => Err(ErrorCode::from(error)),
            },))
        };
    }
}
