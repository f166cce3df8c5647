//! What the process may do: less once its sockets are bound.

use std::io;
use std::path::Path;

use super::error::StartError;
use crate::settings::Settings;

/// Gives up what no part of the server needs: gaining rights by starting programs and, for any user but root, all
/// capabilities except that for ports below 1024. Holds only for threads that are started afterwards.
pub fn give_up() {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{
            CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs,
        };
        let reduced = || -> rustix::io::Result<()> {
            set_no_new_privs(true)?;
            if rustix::process::geteuid().is_root() {
                return Ok(());
            }
            let now = capabilities(None)?;
            let kept = CapabilitySet::NET_BIND_SERVICE;
            set_capabilities(
                None,
                CapabilitySets {
                    effective: now.effective & kept,
                    permitted: now.permitted & kept,
                    inheritable: CapabilitySet::empty(),
                },
            )
        };
        if let Err(reason) = reduced() {
            tracing::debug!(%reason, "capabilities stay as they are");
        }
    }
}

/// Warns of a server that stays root.
pub fn warn_of_root(settings: &Settings) {
    #[cfg(unix)]
    if settings.server.user.is_none() && rustix::process::geteuid().is_root() {
        tracing::warn!("the server runs as root: set [server] user, or start it as another user");
    }
    #[cfg(not(unix))]
    let _ = settings;
}

/// The user that `[server] user` names.
pub(super) struct User {
    #[cfg(target_os = "linux")]
    found: nix::unistd::User,
}

#[cfg(target_os = "linux")]
impl User {
    /// Finds the user; `None`: the process keeps its user. To be called before sockets are bound.
    ///
    /// # Errors
    /// There is no such user, or only root could become it.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, StartError> {
        let me = nix::unistd::geteuid();
        let Some(name) = &settings.server.user else { return Ok(None) };
        let error = |reason: &str| StartError::User { name: name.clone(), reason: reason.to_owned() };
        let found = match nix::unistd::User::from_name(name) {
            Ok(Some(found)) => found,
            Ok(None) => return Err(error("there is no such user; create it or name another")),
            Err(reason) => return Err(error(reason.desc())),
        };
        if found.uid == me {
            return Ok(None);
        }
        if !me.is_root() {
            return Err(error("only root can become another user; start it as root, or remove the key"));
        }
        Ok(Some(Self { found }))
    }

    /// Makes the user the owner of a file that was made before.
    pub(super) fn owns(&self, path: &Path) -> io::Result<()> {
        std::os::unix::fs::lchown(path, Some(self.found.uid.as_raw()), Some(self.found.gid.as_raw()))
    }

    /// Becomes the user, with all threads and for good: the capabilities of root are gone.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn enter(&self) -> Result<(), StartError> {
        use nix::unistd::{initgroups, setresgid, setresuid};
        let nix::unistd::User { name, uid, gid, .. } = &self.found;
        let error = |reason: &str| StartError::User { name: name.clone(), reason: reason.to_owned() };
        let c_name = std::ffi::CString::new(name.as_str()).map_err(|_| error("the name has a zero octet"))?;
        initgroups(&c_name, *gid)
            .and_then(|()| setresgid(*gid, *gid, *gid))
            .and_then(|()| setresuid(*uid, *uid, *uid))
            .map_err(|reason| error(reason.desc()))?;
        tracing::info!(user = %name, "no longer root");
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
impl User {
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, StartError> {
        match &settings.server.user {
            None => Ok(None),
            Some(name) => Err(StartError::User {
                name: name.clone(),
                reason: "this works on Linux only; start it as that user".into(),
            }),
        }
    }

    pub(super) fn owns(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn enter(&self) -> Result<(), StartError> {
        Ok(())
    }
}

/// What a reload and the end of the server need, but this user may not do: the operator learns it at the start.
pub(super) fn warn_of_files(settings: &Settings) {
    let lists = settings.lists.iter().map(|list| &list.source);
    let zones = settings.zones.iter().map(|zone| &zone.source);
    for source in lists.chain(zones) {
        if let crate::settings::TextSource::File(path) = source
            && let Err(reason) = std::fs::File::open(path)
        {
            tracing::warn!(
                "{}: {reason}; a reload will fail: let the user of [server] user read it",
                path.display()
            );
        }
    }
}
