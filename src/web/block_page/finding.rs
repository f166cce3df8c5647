//! What there is to say of a request, its status, and the same as JSON.

use axum::http::StatusCode;
use serde_json::json;

use super::Refusal;

/// What there is to say.
pub(super) enum Finding {
    /// The name is refused.
    Refused(Refusal),
    /// The name is not, or no longer.
    Free(String),
    /// The request is for no name: for an address, or from before there were hosts.
    Nothing,
    /// The request breaks the rules on Host (RFC 9112 §3.2).
    Malformed,
}

impl Refusal {
    /// 451 for a demand from outside (RFC 7725 §3), 403 for the operator's own wish (RFC 9110 §15.5.4).
    pub(super) fn status(&self) -> StatusCode {
        match self.authority {
            Some(_) => StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS,
            None => StatusCode::FORBIDDEN,
        }
    }
}

impl Finding {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Refused(refusal) => refusal.status(),
            Self::Free(_) | Self::Nothing => StatusCode::NOT_FOUND,
            Self::Malformed => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let status = self.status().as_u16();
        match self {
            Self::Refused(refusal) => {
                let Refusal { name, list, reason, authority, blocked_by, since, contact, organization, id } =
                    refusal;
                json!({
                    "status": status, "name": name, "list": list, "reason": reason, "authority": authority,
                    "blocked_by": blocked_by, "since": since, "contact": contact,
                    "organization": organization, "id": id,
                })
            }
            Self::Free(name) => {
                let message = "not blocked here; your device may remember an old answer";
                json!({ "status": status, "name": name, "message": message })
            }
            Self::Nothing => json!({ "status": status, "name": null, "message": "this is a block page" }),
            Self::Malformed => {
                json!({ "status": status, "name": null, "message": "the Host of the request is missing or wrong" })
            }
        }
    }
}
