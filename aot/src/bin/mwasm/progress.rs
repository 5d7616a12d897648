//! What the build is doing, for stages that take a while: a line on standard error that goes away again.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mwasm_aot::Watch;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Stages that take less are not worth a line.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the line moves.
const TICK: Duration = Duration::from_millis(100);

/// Shows the stage that runs, once it has run for [`PATIENCE`].
#[derive(Default)]
pub struct Progress {
    current: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    fn end(&mut self) {
        if let Some((ended, line)) = self.current.take() {
            drop(ended);
            // The thread only waits and draws; it has nothing to say.
            let _ = line.join();
        }
    }
}

impl Watch for Progress {
    fn begins(&mut self, stage: &'static str) {
        self.end();
        let (ended, wait) = channel::<()>();
        let line = std::thread::spawn(move || {
            if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                bar.set_style(ProgressStyle::default_spinner());
                bar.set_message(stage);
                bar.enable_steady_tick(TICK);
                let _ = wait.recv();
                bar.finish_and_clear();
            }
        });
        self.current = Some((ended, line));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
