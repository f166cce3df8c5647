//! Confines a compiled list to what it may do, as the lists that it was made from would have been.

use super::compile::{Compiled, MORE};
use super::file::FileError;
use crate::dns::{Match, NameBuf};
use crate::lists::{Confined, May, Power, name_is_wide, network_is_wide, pattern_is_wide};
use crate::rule::{Effect, Traits, modifiers};

impl Compiled {
    /// Confines the list to what it may do: rules beyond that become weaker or lose their effect, and are
    /// returned. The names in an index can't be changed, so one with a rule for every name is refused.
    ///
    /// # Errors
    /// [`FileError::EveryName`]
    pub fn confine(&mut self, may: May) -> Result<Vec<Confined>, FileError> {
        if may == May::ALL {
            return Ok(Vec::new());
        }
        let Self { index, tables } = self;
        let confined: Vec<_> = tables.traits.iter().map(|traits| may.confined(traits, |_| false)).collect();
        let text = |rule: &str, traits: &Traits| {
            let allow = if traits.effect == Effect::Allow { "@@" } else { "" };
            format!("{allow}{rule}{}", modifiers(traits))
        };
        let (mut told, mut every) = (Vec::new(), None);
        index.for_each(|name: &NameBuf, matching, id, at| {
            let class = tables.classes.get(id as usize).map_or(&[][..], Vec::as_slice);
            for (nth, (_, number)) in class.iter().enumerate() {
                let Some(traits) = tables.traits.get(*number as usize) else { continue };
                let rule = match matching {
                    Match::Exact => format!("|{name}|"),
                    Match::Suffix => format!("||{name}^"),
                    Match::Subdomains => format!("||*.{name}^"),
                };
                let (power, weaker, effect) = match confined.get(*number as usize) {
                    Some(Some((power, instead))) => {
                        (Some(*power), instead.is_some(), instead.as_ref().map(|t| t.effect))
                    }
                    _ => (None, false, Some(traits.effect)),
                };
                let ranks = effect.filter(|e| matches!(e, Effect::Block | Effect::Allow));
                if ranks.is_some_and(|effect| name_is_wide(name.as_name(), matching, effect))
                    && !may.has(Power::EveryName)
                {
                    every.get_or_insert_with(|| text(&rule, traits));
                }
                if let Some(power) = power {
                    let line = match index.aside(at, matching) {
                        None => 0,
                        Some(word) if word & MORE == 0 => word,
                        Some(word) => tables.more.get((word & !MORE) as usize + nth).copied().unwrap_or(0),
                    };
                    told.push(Confined { line, rule: text(&rule, traits), power, weaker });
                }
            }
        });
        if let Some(rule) = every {
            return Err(FileError::EveryName(rule));
        }
        let mut stays = |rule: &str, line: u32, number: u32, wide: &dyn Fn(Effect) -> bool| {
            let Some(traits) = tables.traits.get(number as usize) else { return true };
            let Some((power, instead)) = may.confined(traits, wide) else { return true };
            told.push(Confined { line, rule: text(rule, traits), power, weaker: instead.is_some() });
            instead.is_some()
        };
        tables.patterns.retain(|rule| {
            let wide = |effect| pattern_is_wide(&rule.pattern, effect);
            stays(&rule.pattern.to_string(), rule.line, rule.traits, &wide)
        });
        tables.addresses.retain(|rule| {
            let wide = |_| network_is_wide(&rule.network);
            stays(&rule.network.to_string(), rule.line, rule.traits, &wide)
        });
        for (traits, confined) in tables.traits.iter_mut().zip(confined) {
            if let Some((_, instead)) = confined {
                *traits = instead.unwrap_or_else(|| Traits::plain(Effect::Nothing));
            }
        }
        told.sort_by_key(|confined| confined.line);
        Ok(told)
    }
}
