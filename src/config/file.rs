//! The text of a configuration file → settings, or every mistake in it.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::check::Check;
use super::error::{ConfigError, Mistake};
use super::table::Table;
use super::{
    answers, block, blockpage, bounds, cache, client, control, data, dnstap, forward, group, inspect, list,
    log, metrics, policy, ratelimit, reference, rewrite, schedule, server, special, upstream, user, zone,
};
use crate::settings::Settings;

/// Reads and checks a file. Paths in it are relative to it.
///
/// # Errors
/// Every mistake that could be found.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    parse(&read(path, "configuration", "name an existing file with --config")?, path)
}

/// The most octets of a file that people write; a device has no end.
const LONGEST: u64 = 64 << 20;

/// The text of a file; `what` it is and the remedy are for the message.
pub(super) fn read(path: &Path, what: &str, remedy: &str) -> Result<String, ConfigError> {
    let mut octets = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut octets));
    read.map_err(|error| {
        let help = user::permission(&error).unwrap_or_else(|| remedy.to_owned());
        ConfigError(vec![Mistake::in_file(path, format!("cannot read the {what}: {error}"), &help)])
    })?;
    if octets.len() as u64 > LONGEST {
        let problem = format!("the {what} is longer than {} MiB", LONGEST >> 20);
        return Err(ConfigError(vec![Mistake::in_file(path, problem, remedy)]));
    }
    String::from_utf8(octets).map_err(|error| {
        let (octets, valid) = (error.as_bytes(), error.utf8_error().valid_up_to());
        let before = octets.get(..valid).unwrap_or_default();
        let octet = octets.get(valid).copied().unwrap_or_default();
        let line = before.iter().filter(|octet| **octet == b'\n').count() + 1;
        let problem = format!("the octet 0x{octet:02x} is not UTF-8");
        let mistake = Mistake::in_file(path, problem, "save the file as UTF-8");
        ConfigError(vec![Mistake { line: Some(line), ..mistake }])
    })
}

/// Checks the text of a file; `path` is for messages and relative paths.
///
/// # Errors
/// Every mistake that could be found, in the order of their lines.
pub fn parse(text: &str, path: &Path) -> Result<Settings, ConfigError> {
    let mut check = Check::new(text, path, reference::FORMS);
    let settings = check.toml(Check::file);
    check.finish(settings.unwrap_or_default())
}

impl Check<'_> {
    /// The tables in the order in which one needs another.
    fn file(&mut self, mut file: Table<'_>) -> Settings {
        let mut settings = Settings { folder: Some(self.folder()), ..Settings::default() };
        let server = file.section(self, &server::FORM);
        self.server(server, &mut settings);
        if let Some(table) = file.section(self, &ratelimit::FORM) {
            self.ratelimit(table, &mut settings);
        }
        if let Some(table) = file.section(self, &upstream::FORM) {
            self.upstreams(table, &mut settings);
        }
        if let Some(table) = file.section(self, &cache::FORM) {
            self.cache(table, &mut settings);
        }
        if let Some(table) = file.section(self, &policy::FORM) {
            self.policy(table, &mut settings);
        }
        if let Some(table) = file.section(self, &inspect::FORM) {
            self.inspect(table, &mut settings);
        }
        let schedules = file.sections(self, &schedule::FORM);
        let schedules = self.schedules(schedules);
        settings.schedules = schedules.iter().map(|(name, when)| (name.clone(), when.clone())).collect();
        let block = file.section(self, &block::FORM);
        let block = self.block(block, &mut settings);
        let lists = file.sections(self, &list::FORM);
        let bounds = file.section(self, &bounds::FORM);
        let bounds = self.list_bounds(bounds);
        self.lists(lists, &block, bounds, &schedules, &mut settings);
        let named = settings.lists.len();
        settings.lists.extend(block.canaries());
        let rewrites = file.sections(self, &rewrite::FORM);
        let rewrites = self.rewrites(rewrites);
        settings.lists.extend(block.rewrites(&rewrites.all));
        let groups = file.sections(self, &group::FORM);
        self.groups(groups, named, &schedules, &mut settings);
        self.rewrite_groups(&rewrites, &settings.groups);
        let forwards = file.sections(self, &forward::FORM);
        self.forwards(forwards, &mut settings);
        if let Some(table) = file.section(self, &blockpage::FORM) {
            settings.blockpage = self.block_page(table);
        }
        if let Some(table) = file.section(self, &control::FORM) {
            settings.control = self.control(table);
        }
        let clients = file.sections(self, &client::FORM);
        self.clients_with_names(clients, &mut settings);
        let zones = file.sections(self, &zone::FORM);
        self.zones(zones, &mut settings);
        if let Some(table) = file.section(self, &answers::FORM) {
            self.answers(table, &mut settings);
        }
        if let Some(table) = file.section(self, &special::FORM) {
            self.special(table, &mut settings);
        }
        if let Some(table) = file.section(self, &metrics::FORM) {
            settings.metrics = self.metrics(table);
        }
        if let Some(table) = file.section(self, &data::FORM) {
            settings.data = self.data(table);
        }
        if let Some(table) = file.section(self, &log::FORM) {
            settings.log = self.log(table, settings.data.as_ref());
        }
        if let Some(table) = file.section(self, &dnstap::FORM) {
            settings.dnstap = self.dnstap(table);
        }
        file.done(self, "", &[]);
        settings
    }
}
