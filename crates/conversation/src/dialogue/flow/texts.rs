//! Texts of a flow, with the values of its slots.

use super::position::Step;
use super::prepared::FlowDialogue;
use super::values::SlotValue;
use std::collections::BTreeMap;
use trunkline_domain::template::{SLOTS, TemplateReport, TemplateUse, TemplateValues, fill};

/// Values for the texts of a flow.
struct SlotTexts<'a> {
    dialogue: &'a FlowDialogue,
    slots: &'a BTreeMap<String, SlotValue>,
    /// For tools: as they are written, not as they are said.
    is_written: bool,
}

impl TemplateValues for SlotTexts<'_> {
    fn value(&self, name: &str) -> Option<String> {
        let name = name.strip_prefix(SLOTS)?;
        let value = self.slots.get(name);
        let text = |value: &SlotValue| match self.is_written {
            true => value.written(),
            false => value.said(&self.dialogue.context),
        };
        Some(value.map(text).unwrap_or_default())
    }
}

impl FlowDialogue {
    /// A text with its slots filled in.
    pub(super) fn filled(&self, text: &str, slots: &BTreeMap<String, SlotValue>, is_written: bool) -> String {
        let values = SlotTexts { dialogue: self, slots, is_written };
        fill(text, TemplateUse::Text, &values, &mut TemplateReport::default())
    }

    pub(super) fn say(&self, step: &mut Step, text: &str) {
        let text = self.filled(text, &step.run.slots, false);
        step.said.push(text);
    }

    pub(super) fn ask(&self, step: &mut Step, question: &str) {
        step.run.question = self.filled(question, &step.run.slots, false);
    }
}
