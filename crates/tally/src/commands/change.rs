//! A change by hand: sent under an id that makes repeating it harmless, and what it then says.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::refusal::explained;
use super::{Context, new_id, text};
use crate::cli::ByHand;
use crate::client::Changed;
use crate::failure::Failure;
use crate::table::trimmed;

/// What is to be changed, by whom and why.
#[derive(Debug)]
pub(crate) struct Change<'c> {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Begins an id that is made here.
    pub(crate) made: &'static str,
    pub(crate) by_hand: &'c ByHand,
    pub(crate) reason: &'c str,
}

/// A change that was made, now or before.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) answer: Value,
    /// What makes a repetition harmless.
    pub(crate) id: String,
    pub(crate) already: bool,
}

impl Change<'_> {
    /// The id that it goes under: the one given, or one that nobody else makes.
    pub(crate) fn id(&self) -> Result<String, Failure> {
        match &self.by_hand.id {
            Some(id) => Ok(id.clone()),
            None => new_id(self.made),
        }
    }

    pub(crate) fn send(
        &self,
        context: &Context,
        body: Map<String, Value>,
    ) -> Result<Done, Failure> {
        self.send_as(context, self.id()?, body)
    }

    /// The same under an id that is known already.
    pub(crate) fn send_as(
        &self,
        context: &Context,
        id: String,
        mut body: Map<String, Value>,
    ) -> Result<Done, Failure> {
        if !self.reason.is_empty() {
            body.insert("reason".to_owned(), json!(self.reason));
        }
        context.name_actor(self.by_hand.actor.as_ref(), &mut body);
        let body = Value::Object(body);
        let sent = context.client.change_by(self.method.clone(), &self.path, &id, &body);
        sent.map(|changed| Done::new(changed, id)).map_err(explained)
    }
}

impl Done {
    fn new(changed: Changed, id: String) -> Self {
        let Changed { mut answer, replayed } = changed;
        let said = answer.get("already_applied").and_then(Value::as_bool);
        let already = replayed || said.unwrap_or(false);
        // Both belong to the answer: whoever gave no id needs it to repeat the command.
        if let Some(fields) = answer.as_object_mut() {
            fields.entry("id").or_insert_with(|| json!(id));
            fields.insert("already_applied".to_owned(), json!(already));
        }
        Self { answer, id, already }
    }

    /// Prints it: for people `what` was done, after whether it was done now.
    pub(crate) fn print(&self, context: &Context, what: impl FnOnce(&Value) -> String) {
        context.output.answer(&self.answer, || self.sentence(&what(&self.answer)));
    }

    pub(crate) fn sentence(&self, what: &str) -> String {
        let made = if self.already { "already applied" } else { "applied" };
        let mut lines = format!("{made}: {what} (id {})\n", self.id);
        let balance = self.answer.get("balance").filter(|balance| balance.is_object());
        if let Some(available) = text(balance.unwrap_or(&self.answer), "available") {
            // A repeated answer is the first one: it knows nothing of what came later.
            let when = if self.already { "available then" } else { "available now" };
            lines.push_str(&format!("{when}: {} credits\n", trimmed(available)));
        }
        lines
    }
}

#[cfg(test)]
pub(crate) fn done(answer: Value, id: &str, replayed: bool) -> Done {
    Done::new(Changed { answer, replayed }, id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_happened_and_what_there_is_now() {
        let answer = json!({"entry": "3-88", "balance": {"available": "87.500000000000"}});
        assert_eq!(
            done(answer.clone(), "order-77", false).sentence("entry 3-88"),
            "applied: entry 3-88 (id order-77)\navailable now: 87.5 credits\n"
        );
        let again = done(answer, "order-77", true);
        assert_eq!(
            again.sentence("entry 3-88"),
            "already applied: entry 3-88 (id order-77)\navailable then: 87.5 credits\n"
        );
        assert_eq!(again.answer["already_applied"], true);
        assert_eq!(again.answer["id"], "order-77");
    }

    #[test]
    fn an_answer_may_say_itself_that_it_is_a_repetition() {
        assert!(done(json!({"already_applied": true}), "a", false).already);
        assert!(!done(json!({"already_applied": false}), "a", false).already);
    }

    #[test]
    fn the_answers_own_id_stays() {
        assert_eq!(done(json!({"id": "growth"}), "key-1", false).answer["id"], "growth");
    }
}
