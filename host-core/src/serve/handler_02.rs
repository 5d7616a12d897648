//! How an app at `wasi:http` 0.2 handles requests: one at a time in an instance, in as many instances as needed.
//!
//! An instance is a store with the app in it. Making one costs far more than a request, so instances are kept and used again
//! ([`Pool`]); an app that is not to be trusted with the remains of the request before gets a fresh one each time. An app that
//! traps loses its instance, and the request that it was at; others do not notice.

use super::meter::{Meter, is_used_up};
use super::place::Place;
use super::pool::{Lease, Pool};
use super::report::Report;
use super::{Exchange, Handler};
use crate::failure;
use crate::run::App;
use crate::sockets::names::Resolve;
use crate::state::{Event, State};
use crate::v02::http::{IncomingRequest, ResponseOutparam};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use core::cell::{Cell, RefCell};
use mwasm_http::RequestHead;
use mwasm_plan::net::{Http, Instances};
use mwasm_ports::{Outcome, Output};
use wasmtime::component::{ComponentExportIndex, InstancePre, Resource, TypedFunc};
use wasmtime::{Error, Result, Store};

/// `wasi:http/incoming-handler.handle`.
type Handle = TypedFunc<(Resource<IncomingRequest>, Resource<ResponseOutparam>), ()>;

/// An instance of the app.
struct Worker {
    store: Store<State>,
    handle: Handle,
}

/// The app.
pub(super) struct Handler02<'a> {
    app: InstancePre<State>,
    handle: ComponentExportIndex,
    new_state: &'a dyn Fn() -> State,
    describe: fn(&Error) -> String,
    pool: Pool<Worker>,
    /// Whether an instance is used once.
    is_fresh: bool,
    /// How many requests may run or wait; and how many do.
    max_requests: usize,
    requests: Cell<usize>,
    meter: Meter,
    report: Rc<Report>,
    /// What looks names up, once one instance has looked one up: it remembers them for all.
    resolver: RefCell<Option<Arc<dyn Resolve>>>,
}

impl<'a> Handler02<'a> {
    /// The app, whose export `export` handles requests; each instance has a state of its own.
    pub fn new(
        app: &App<'_>,
        export: &str,
        http: &Http,
        new_state: &'a dyn Fn() -> State,
        report: Rc<Report>,
    ) -> Result<Self> {
        let index = app.component.get_export_index(None, export);
        let index = index.and_then(|interface| app.component.get_export_index(Some(&interface), "handle"));
        let handle = index.ok_or_else(|| Error::msg(format!("it exports no function 'handle' in '{export}'")))?;
        let most = match http.instances {
            Instances::Shared => 1,
            Instances::Usual | Instances::Pooled | Instances::Fresh => http.max_instances as usize,
        };
        Ok(Self {
            app: app.linker.instantiate_pre(app.component)?,
            handle,
            new_state,
            describe: app.describe,
            pool: Pool::new(most),
            is_fresh: http.instances == Instances::Fresh,
            max_requests: http.max_requests as usize,
            requests: Cell::new(0),
            meter: Meter::new(http.max_instructions),
            report,
            resolver: RefCell::new(None),
        })
    }

    async fn new_worker(&self) -> Result<Worker> {
        let mut state = (self.new_state)();
        state.resolver.clone_from(&self.resolver.borrow());
        let mut store = Store::new(self.app.engine(), state);
        store.limiter(|state| &mut state.limits);
        self.meter.set_up(&mut store)?;
        let instance = self.app.instantiate_async(&mut store).await?;
        let handle = instance.get_typed_func(&mut store, self.handle)?;
        Ok(Worker { store, handle })
    }

    /// An instance that nobody uses; an error if there can be none.
    async fn worker(&self) -> Result<(Lease<'_, Worker>, Worker)> {
        loop {
            let mut lease = self.pool.take().await;
            if let Some(worker) = lease.thing.take() {
                return Ok((lease, worker));
            }
            match self.new_worker().await {
                Ok(worker) => return Ok((lease, worker)),
                // The machine has memory for as many as there are: one of those comes free.
                Err(_) if self.pool.busy() > 1 => self.pool.is_full(),
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells why the app failed at a request.
    fn tell(&self, error: &Error) {
        self.report.say(|| match failure::outcome(error) {
            Outcome::Exit(code) => format!("mwasm: the app ended with code {code} instead of answering a request\n"),
            _ => (self.describe)(error),
        });
    }
}

impl Handler for Handler02<'_> {
    async fn prepare(&self) -> Result<()> {
        let worker = self.new_worker().await?;
        if !self.is_fresh {
            self.pool.add(worker);
        }
        Ok(())
    }

    async fn handle(&self, request: RequestHead, exchange: Arc<Exchange>) {
        let Some(_place) = Place::take(&self.requests, self.max_requests) else {
            exchange.connection().reject(503, "too many requests");
            return;
        };
        let (mut lease, mut worker) = match self.worker().await {
            Ok(found) => found,
            Err(error) => {
                self.report.say(|| format!("mwasm: there can be no instance of the app: {error:#}\n"));
                exchange.connection().reject(503, "no instance of the app");
                return;
            }
        };
        let result = worker.call(request, exchange.clone(), self.meter).await;
        worker.drain().await;
        if let Some(resolver) = &worker.store.data().resolver {
            self.resolver.borrow_mut().get_or_insert_with(|| resolver.clone());
        }
        match result {
            Ok(()) if !self.is_fresh => lease.thing = Some(worker),
            Ok(()) => lease.discard(),
            Err(error) => {
                self.tell(&error);
                if is_used_up(&error) {
                    Meter::reject(&exchange);
                }
                lease.discard();
            }
        }
    }
}

impl Worker {
    async fn call(&mut self, request: RequestHead, exchange: Arc<Exchange>, meter: Meter) -> Result<()> {
        meter.grant(&mut self.store)?;
        let table = &mut self.store.data_mut().table;
        let request = table.push(IncomingRequest::new(request, exchange.clone()))?;
        let outparam = table.push(ResponseOutparam(exchange))?;
        self.handle.call_async(&mut self.store, (request, outparam)).await
    }

    /// Hands over what the app has printed.
    async fn drain(&mut self) {
        for to in [Output::Out, Output::Err] {
            let state = self.store.data_mut();
            while !state.is_ready(&Event::Output(to)) {
                state.reactor.wait(Event::Output(to).interest()).await;
            }
        }
    }
}
