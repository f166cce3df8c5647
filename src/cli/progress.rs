//! The bar that shows on a terminal when a load takes longer than half a second.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::sources::Progress;

/// How long a load may take before anything is shown.
const PATIENCE: Duration = Duration::from_millis(500);

/// A bar on standard error; nothing where that is not a terminal.
pub(super) struct Bar {
    start: Instant,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    what: String,
    size: u64,
}

impl Default for Bar {
    fn default() -> Self {
        Self { start: super::now().at, state: RefCell::default() }
    }
}

impl Bar {
    fn draw(&self, done: u64) {
        let mut state = self.state.borrow_mut();
        if state.bar.is_none() {
            if super::now().at.duration_since(self.start) < PATIENCE {
                return;
            }
            let bar = ProgressBar::with_draw_target(Some(state.size), ProgressDrawTarget::stderr());
            // The template is fixed, so this cannot fail; if it did, the default one would do.
            if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {percent} %") {
                bar.set_style(style);
            }
            state.bar = Some(bar);
        }
        if let Some(bar) = &state.bar {
            bar.set_length(state.size);
            bar.set_message(state.what.clone());
            bar.set_position(done);
        }
    }
}

impl Bar {
    /// `done` of `all` are done.
    pub(super) fn count(&self, what: &str, done: usize, all: usize) {
        {
            let mut state = self.state.borrow_mut();
            what.clone_into(&mut state.what);
            state.size = all as u64;
        }
        self.draw(done as u64);
    }

    /// Hides the bar while something else writes to the terminal.
    pub(super) fn aside<T>(&self, doing: impl FnOnce() -> T) -> T {
        match &self.state.borrow().bar {
            Some(bar) => bar.suspend(doing),
            None => doing(),
        }
    }
}

impl Progress for Bar {
    fn begin(&self, what: &str, size: u64) {
        {
            let mut state = self.state.borrow_mut();
            state.what = format!("reading {what}");
            state.size = size;
        }
        self.draw(0);
    }

    fn at(&self, done: u64) {
        self.draw(done);
    }

    fn stage(&self, what: &str) {
        self.state.borrow_mut().what = what.to_owned();
        let size = self.state.borrow().size;
        self.draw(size);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.state.borrow().bar {
            bar.finish_and_clear();
        }
    }
}
