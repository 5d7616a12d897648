//! A TAP device as the network card of an app that brings its own protocol: frames, and no stack.
//!
//! It may be deleted while the app runs, and made again: then it is attached to again, and the process waits for the new one.

use super::Tap;
use crate::ports::Process;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use mwasm_net::RawCard;
use mwasm_plan::Plan;
use mwasm_ports::net_device::NetDevice;
use mwasm_ports::{Idle, Ports, Ready};
use spin::Mutex;

/// The device that is attached to, if there is one.
pub struct Card(Mutex<Option<Arc<Tap>>>);

impl Card {
    /// Opens the TAP device that the plan names for the app.
    pub fn open(ports: &mut Ports, plan: &Plan<'static>) -> Result<(), &'static str> {
        if plan.net.tap.is_empty() {
            return Err(
                "the app is granted frames ([net] link), and on the desktop these need a TAP device: name one with --net tap=NAME or [net] tap",
            );
        }
        // Told once, to a program that ends for it.
        let tap = Tap::attach(plan.net.tap).map_err(|why| -> &'static str { Box::leak(why.into_boxed_str()) })?;
        let tap = Arc::new(tap);
        let card = Arc::new(Self(Mutex::new(Some(tap.clone()))));
        let (again, name) = (card.clone(), String::from(plan.net.tap));
        let open = move || {
            // The old one is let go of first: a device with one queue has one user.
            *again.0.lock() = None;
            let tap = Arc::new(Tap::attach(&name).ok()?);
            *again.0.lock() = Some(tap.clone());
            Some(tap as Arc<dyn NetDevice>)
        };
        ports.network = Some(RawCard::new(tap, ports.clock.clone(), Box::new(open)));
        ports.idle = card;
        Ok(())
    }
}

impl Idle for Card {
    fn park(&self, deadline_ns: Option<u64>, interest: Ready) -> Ready {
        let tap = self.0.lock().clone();
        match tap {
            Some(tap) => tap.park(deadline_ns, interest),
            None => Process.park(deadline_ns, interest),
        }
    }
}
