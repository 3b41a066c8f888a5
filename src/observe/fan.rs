//! One listener made of several.

use crate::run::{Event, Listener};
use std::sync::Arc;

/// Passes each event to all its listeners, in their order.
#[derive(Default)]
pub struct Fan(Vec<Arc<dyn Listener>>);

impl Fan {
    pub fn new(listeners: Vec<Arc<dyn Listener>>) -> Self {
        Self(listeners)
    }
}

impl Listener for Fan {
    fn hear(&self, event: &Event) {
        for listener in &self.0 {
            listener.hear(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::transcript::tests::story;
    use std::sync::Mutex;

    struct Note(&'static str, Arc<Mutex<Vec<&'static str>>>);

    impl Listener for Note {
        fn hear(&self, _: &Event) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn all_hear_in_order() {
        let notes = Arc::default();
        let fan = Fan::new(vec![Arc::new(Note("first", Arc::clone(&notes))), Arc::new(Note("second", notes.clone()))]);
        fan.hear(&story()[0]);
        fan.hear(&story()[1]);
        assert_eq!(*notes.lock().unwrap(), ["first", "second", "first", "second"]);
    }
}
