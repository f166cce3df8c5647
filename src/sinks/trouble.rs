//! A problem that lasts is told once, and again when it is over or another.

/// What a sink has trouble with at the moment.
pub(super) struct Trouble {
    what: &'static str,
    now: Option<String>,
}

impl Trouble {
    pub(super) const fn new(what: &'static str) -> Self {
        Self { what, now: None }
    }

    /// It failed, for this reason.
    pub(super) fn failed(&mut self, reason: String) {
        if self.now.as_ref() != Some(&reason) {
            tracing::error!(
                "{} can't be written, and queries are answered all the same: {reason}",
                self.what
            );
            self.now = Some(reason);
        }
    }

    /// It works.
    pub(super) fn works(&mut self) {
        if self.now.take().is_some() {
            tracing::info!("{} is written again", self.what);
        }
    }

    pub(super) const fn is_there(&self) -> bool {
        self.now.is_some()
    }
}
