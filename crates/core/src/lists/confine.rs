//! Confines a list to what it may do.

use super::list::List;
use super::may::{Confined, May, Power, name_is_wide, network_is_wide, pattern_is_wide};
use crate::dns::Match;
use crate::rule::{Effect, Traits, modifiers};

impl List {
    /// Confines the list to what it may do: rules beyond that become weaker or lose their effect, and are
    /// recorded in [`List::confined`].
    pub fn confine(&mut self, may: May) {
        if may == May::ALL {
            return;
        }
        self.alone |= !may.has(Power::Allow);
        let mut told = Vec::new();
        let mut tell = |line: u32, rule: String, traits: &Traits, power: Power, weaker: bool| {
            // A `$badfilter` follows the rule that it cancels, and is not a rule itself.
            if !traits.cancels {
                let allow = if traits.effect == Effect::Allow { "@@" } else { "" };
                let rule = format!("{allow}{rule}{}", modifiers(traits));
                told.push(Confined { line, rule, power, weaker });
            }
        };
        // The rule has no effect, and must not stop less specific rules of its list either.
        let nothing = Traits::plain(Effect::Nothing);
        self.change_names(|line, name, matching, traits| {
            let (power, instead) = may.confined(traits, |effect| name_is_wide(name, matching, effect))?;
            let rule = match matching {
                Match::Exact => format!("|{name}|"),
                Match::Suffix => format!("||{name}^"),
                Match::Subdomains => format!("||*.{name}^"),
            };
            tell(line, rule, traits, power, instead.is_some());
            Some(instead.unwrap_or_else(|| nothing.clone()))
        });
        let patterns = std::mem::take(&mut self.patterns);
        for (line, pattern, number) in patterns {
            let confined = self.traits.get(number as usize).and_then(|traits| {
                let (power, instead) = may.confined(traits, |effect| pattern_is_wide(&pattern, effect))?;
                tell(line, pattern.to_string(), traits, power, instead.is_some());
                Some(instead)
            });
            match confined {
                None => self.patterns.push((line, pattern, number)),
                Some(None) => {}
                Some(Some(weaker)) => {
                    let number = self.traits_number(&weaker);
                    self.patterns.push((line, pattern, number));
                }
            }
        }
        let addresses = std::mem::take(&mut self.addresses);
        for (line, network, number) in addresses {
            let confined = self.traits.get(number as usize).and_then(|traits| {
                let (power, instead) = may.confined(traits, |_| network_is_wide(&network))?;
                tell(line, network.to_string(), traits, power, instead.is_some());
                Some(instead)
            });
            match confined {
                None => self.addresses.push((line, network, number)),
                Some(None) => {}
                Some(Some(weaker)) => {
                    let number = self.traits_number(&weaker);
                    self.addresses.push((line, network, number));
                }
            }
        }
        for part in self.timed.values_mut() {
            part.confine(may);
            told.append(&mut part.confined);
        }
        told.sort_by_key(|confined: &Confined| confined.line);
        self.confined = told;
    }
}
