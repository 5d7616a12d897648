//! How an app at `wasi:http` 0.3 handles requests: many at once in one instance, unless the manifest wants them apart.
//!
//! A worker is an instance of the app in a store of its own, and takes requests from a [`Queue`]. Within [`Store::run_concurrent`] each
//! request is a call of its own: the calls, the guest's other tasks, and the streams of bodies take turns. A shared instance takes all
//! that come; otherwise a worker has one at a time. An app that traps loses the worker, and the requests that it was at; the next
//! request makes another one.

use super::meter::{Meter, is_used_up};
use super::place::Place;
use super::queue::Queue;
use super::report::Report;
use super::{Exchange, Handler};
use crate::failure;
use crate::http::Responder;
use crate::run::App;
use crate::sockets::names::Resolve;
use crate::state::{Event, State};
use crate::v02::http::error_code::ErrorCode;
use crate::v02::http::fields::Fields;
use crate::v03::http::{Request, Response};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use futures_channel::oneshot;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mwasm_http::RequestHead;
use mwasm_plan::net::{Http, Instances};
use mwasm_ports::{Outcome, Output};
use wasmtime::component::{Accessor, ComponentExportIndex, InstancePre, Resource, TypedFunc};
use wasmtime::{AsContextMut, Error, Result, Store};

/// `wasi:http/handler.handle`.
type Handle = TypedFunc<(Resource<Request>,), (core::result::Result<Resource<Response>, ErrorCode>,)>;

/// A request that waits for a worker.
struct Job {
    request: RequestHead,
    exchange: Arc<Exchange>,
    /// Told when the app is done with it, and dropped when nothing more will be done for it.
    done: oneshot::Sender<()>,
}

/// An instance of the app.
struct Worker {
    store: Store<State>,
    handle: Handle,
}

/// How a worker ended.
enum End {
    /// Its instance is gone; there is room for another one.
    Over,
    /// There can be no instance beside those that there are.
    NoRoom,
}

/// The app.
pub(super) struct Handler03<'a> {
    app: InstancePre<State>,
    handle: ComponentExportIndex,
    new_state: &'a dyn Fn() -> State,
    describe: fn(&Error) -> String,
    queue: Queue<Job>,
    /// How many workers there may be, how many there are, and how many requests each may have at once.
    max_workers: usize,
    workers: Cell<usize>,
    max_calls: usize,
    /// Whether an instance is used once.
    is_fresh: bool,
    /// An instance that was made before the first request.
    first: RefCell<Option<Worker>>,
    /// How many requests may run or wait; and how many do.
    max_requests: usize,
    requests: Cell<usize>,
    meter: Meter,
    /// Whether the instance that was lost last had used up its instructions.
    was_used_up: Cell<bool>,
    report: Rc<Report>,
    /// What looks names up, once one instance has looked one up: it remembers them for all.
    resolver: RefCell<Option<Arc<dyn Resolve>>>,
}

impl<'a> Handler03<'a> {
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
        let (max_workers, max_calls) = match http.instances {
            Instances::Usual | Instances::Shared => (1, usize::MAX),
            Instances::Pooled | Instances::Fresh => (http.max_instances as usize, 1),
        };
        Ok(Self {
            app: app.linker.instantiate_pre(app.component)?,
            handle,
            new_state,
            describe: app.describe,
            queue: Queue::new(),
            max_workers,
            workers: Cell::new(0),
            max_calls,
            is_fresh: http.instances == Instances::Fresh,
            first: RefCell::new(None),
            max_requests: http.max_requests as usize,
            requests: Cell::new(0),
            meter: Meter::new(http.max_instructions),
            was_used_up: Cell::new(false),
            report,
            resolver: RefCell::new(None),
        })
    }

    async fn new_worker(&self) -> Result<Worker> {
        if let Some(worker) = self.first.take() {
            return Ok(worker);
        }
        let mut state = (self.new_state)();
        state.resolver.clone_from(&self.resolver.borrow());
        let mut store = Store::new(self.app.engine(), state);
        store.limiter(|state| &mut state.limits);
        self.meter.set_up(&mut store)?;
        let instance = self.app.instantiate_async(&mut store).await?;
        let handle = instance.get_typed_func(&mut store, self.handle)?;
        Ok(Worker { store, handle })
    }

    /// One instance of the app, from the request that needs it on.
    async fn employ(&self) -> End {
        let job = self.queue.take().await;
        let Worker { mut store, handle } = match self.new_worker().await {
            Ok(worker) => worker,
            Err(_) if self.workers.get() > 0 => {
                self.queue.put_back(job);
                return End::NoRoom;
            }
            Err(error) => {
                self.report.say(|| format!("mwasm: there can be no instance of the app: {error:#}\n"));
                job.exchange.connection().reject(503, "no instance of the app");
                return End::Over;
            }
        };
        self.workers.update(|count| count + 1);
        let worked = store.run_concurrent(async |accessor| self.attend(accessor, handle, job).await).await;
        self.workers.update(|count| count - 1);
        if let Some(resolver) = &store.data().resolver {
            self.resolver.borrow_mut().get_or_insert_with(|| resolver.clone());
        }
        if let Err(error) = worked.flatten() {
            self.was_used_up.set(is_used_up(&error));
            self.tell(&error);
        }
        End::Over
    }

    /// Answers requests until the app fails, or has answered the only one.
    async fn attend(&self, accessor: &Accessor<State>, handle: Handle, first: Job) -> Result<()> {
        let mut calls = FuturesUnordered::new();
        calls.push(self.answer(accessor, handle, first));
        let mut next = pin!(self.queue.take());
        poll_fn(|context| {
            loop {
                while !self.is_fresh && calls.len() < self.max_calls {
                    let Poll::Ready(job) = next.as_mut().poll(context) else { break };
                    calls.push(self.answer(accessor, handle, job));
                }
                match calls.poll_next_unpin(context) {
                    Poll::Ready(Some(Ok(()))) if self.is_fresh => return Poll::Ready(Ok(())),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    Poll::Ready(Some(Ok(()))) => {}
                    Poll::Ready(None) | Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Has the app answer one request. Fails if the app does in a way that leaves it of no use.
    async fn answer(&self, accessor: &Accessor<State>, handle: Handle, job: Job) -> Result<()> {
        let request = Request::new(job.request, job.exchange.clone());
        let request = accessor.with(|mut access| {
            self.meter.grant(access.as_context_mut())?;
            Ok::<_, Error>(access.get().table.push(request)?)
        })?;
        let (response,) = handle.call_concurrent(accessor, (request,)).await?;
        match response {
            Ok(response) => {
                let sending = accessor.with(|mut access| {
                    let response = access.get().table.delete(response)?;
                    respond(response, access.as_context_mut(), &job.exchange)
                })?;
                if let Some(sending) = sending {
                    sending.await;
                }
            }
            Err(error) => {
                self.report.say(|| format!("mwasm: the app answered a request with an error: {error:?}\n"));
                job.exchange.connection().reject(500, "the app answered with an error");
            }
        }
        drain(accessor).await;
        // Who waits for it may be gone with the connection.
        let _ = job.done.send(());
        Ok(())
    }

    /// Tells why the app failed.
    fn tell(&self, error: &Error) {
        self.report.say(|| match failure::outcome(error) {
            Outcome::Exit(code) => format!("mwasm: the app ended with code {code} instead of answering a request\n"),
            _ => (self.describe)(error),
        });
    }
}

impl Handler for Handler03<'_> {
    async fn prepare(&self) -> Result<()> {
        let worker = self.new_worker().await?;
        self.first.replace(Some(worker));
        Ok(())
    }

    async fn handle(&self, request: RequestHead, exchange: Arc<Exchange>) {
        let Some(_place) = Place::take(&self.requests, self.max_requests) else {
            exchange.connection().reject(503, "too many requests");
            return;
        };
        let (done, is_done) = oneshot::channel();
        self.queue.push(Job { request, exchange: exchange.clone(), done });
        if is_done.await.is_err() && self.was_used_up.get() {
            Meter::reject(&exchange);
        }
    }

    async fn work(&self) {
        let mut workers: FuturesUnordered<_> = (0..self.max_workers).map(|_| self.employ()).collect();
        let mut without_room = 0;
        while let Some(end) = workers.next().await {
            match end {
                End::NoRoom => without_room += 1,
                End::Over => (0..=core::mem::take(&mut without_room)).for_each(|_| workers.push(self.employ())),
            }
        }
    }
}

/// Begins the app's response; what is returned sends its body. `None`: it cannot be sent, and the app knows.
fn respond(
    response: Response,
    context: wasmtime::StoreContextMut<'_, State>,
    exchange: &Arc<Exchange>,
) -> Result<Option<impl Future<Output = ()> + Send + use<>>> {
    let (status, headers, body) = response.into_parts();
    match exchange.respond(status, &Fields::immutable(headers).sendable(), body.length()) {
        Ok(()) => Ok(Some(body.transmit(context, exchange.clone())?)),
        Err(failure) => {
            body.refuse(context, failure.into())?;
            exchange.connection().reject(500, "the app's answer cannot be sent");
            Ok(None)
        }
    }
}

/// Hands over what the app has printed.
async fn drain(accessor: &Accessor<State>) {
    for to in [Output::Out, Output::Err] {
        let wait = || {
            accessor.with(|mut access| {
                let state = access.get();
                (!state.is_ready(&Event::Output(to))).then(|| state.reactor.wait(Event::Output(to).interest()))
            })
        };
        while let Some(wait) = wait() {
            wait.await;
        }
    }
}
