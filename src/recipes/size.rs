//! How large a network is.

use crate::{
    config::Fields,
    records::Size,
    space::{LARGEST_SIZE, MOST_CHANNELS, Space},
};

impl Size {
    /// `skeleton`, `channels` and `size`: the skeleton must be one of the space's, whose own width
    /// and length hold where none are given. `None` after a complaint.
    pub fn read(fields: &mut Fields<'_>, skeleton: Option<String>, space: Option<&Space>) -> Option<Self> {
        let mut count = |key, most| fields.optional_integer(key, 1..=most, &format!("a whole number from 1 to {most}"));
        let (channels, size) = (count("channels", MOST_CHANNELS), count("size", LARGEST_SIZE));
        let (skeleton, space) = (skeleton?, space?);
        let Some(defaults) = space.skeleton_defaults(&skeleton) else {
            let known = space.skeleton_names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let place = fields.origin_of("skeleton").clone();
            let message = format!("space `{}` has no skeleton `{skeleton}`", space.name);
            fields.problems().add_with_hint(&place, message, format!("it has {known}"));
            return None;
        };
        let (channels, size) = (channels.unwrap_or(defaults.channels), size.unwrap_or(defaults.size));
        fields.note("channels", channels);
        fields.note("size", size);
        Some(Self { skeleton, channels, size })
    }
}
