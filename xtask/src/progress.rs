//! Progress on standard error: a spinner with the time passed on a terminal, plain lines elsewhere. Standard output stays free for results.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// A step under way. It ends when it is dropped, or with [`Step::done`] when it succeeded.
pub struct Step {
    bar: Option<ProgressBar>,
    what: String,
    start: Instant,
}

/// Starts a step and says so. `what` reads as "installing the guest toolchains".
pub fn step(what: impl Into<String>) -> Step {
    let what = what.into();
    let bar = std::io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::new_spinner().with_message(what.clone());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TURN);
        bar
    });
    if bar.is_none() {
        eprintln!("{what} ...");
    }
    Step { bar, what, start: Instant::now() }
}

impl Step {
    /// Ends the step and says how long it took.
    pub fn done(self) {
        let line = format!("{}: done in {:.1} s", self.what, self.start.elapsed().as_secs_f32());
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
