//! What members of one section are called: by what tells them apart.

use super::groups::{called, groups};
use crate::{records::Epoch, report::Series, run::Input};
use serde_json::Value as Json;

/// What a member is called, and what it has in common with those that differ in their seed alone.
pub(super) struct MemberName {
    pub name: String,
    hue: String,
}

impl MemberName {
    /// A line of this member's over the epochs that have a `value`; `stroke` tells it from the
    /// member's other lines in the chart.
    pub fn line(&self, stroke: &str, epochs: &[Epoch], value: impl Fn(&Epoch) -> Option<f64>) -> Series {
        let name = if stroke.is_empty() { self.name.clone() } else { format!("{}, {stroke}", self.name) };
        let point = |epoch: &Epoch| Some((epoch.epoch as f64, value(epoch)?));
        Series {
            name,
            hue: self.hue.clone(),
            stroke: stroke.to_owned(),
            points: epochs.iter().filter_map(point).collect(),
        }
    }
}

/// Members of several methods have their method's hue; of a single one each has its own.
pub(super) fn distinct(members: &[&Input]) -> Vec<MemberName> {
    let groups = groups(members, &[]);
    let group = |member: &Input| {
        let of = groups.iter().find(|group| group.members.iter().any(|other| other.member == member.member))?;
        (groups.len() > 1).then(|| of.name.clone())
    };
    let names = names(members).into_iter().zip(members);
    names.map(|(name, member)| MemberName { hue: group(member).unwrap_or_else(|| name.clone()), name }).collect()
}

/// `softmax, seed 0` for `search[method=softmax,rate=0.1,seed=0]` beside others of that rate; the
/// stage before it where the section has several, and the whole name where that is all they differ
/// in.
fn names(members: &[&Input]) -> Vec<String> {
    let differs = |of: &dyn Fn(&Input) -> Option<Json>| members.iter().any(|member| of(member) != of(members[0]));
    let several = differs(&|member| Some(member.stage.clone().into()));
    let name = |member: &&Input| {
        let axes = member.point.iter().filter(|(axis, _)| differs(&|member| member.point.get(*axis).cloned()));
        called(several.then_some(&member.stage), axes).unwrap_or_else(|| member.member.clone())
    };
    members.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::groups::tests::member;
    use super::*;
    use serde_json::json;

    fn at(stage: &str, point: &[(&str, Json)]) -> Input {
        member(stage, "search", point, Json::Null)
    }

    fn told(members: &[Input]) -> Vec<String> {
        names(&members.iter().collect::<Vec<_>>())
    }

    #[test]
    fn members_are_called_by_the_axes_that_differ() {
        let of = |method: &str, seed: u64| {
            at("search", &[("method", json!(method)), ("rate", json!(0.1)), ("seed", json!(seed))])
        };
        assert_eq!(told(&[of("softmax", 0), of("sigmoid", 0)]), ["softmax", "sigmoid"]);
        assert_eq!(told(&[of("softmax", 0), of("softmax", 1)]), ["seed 0", "seed 1"]);
        assert_eq!(told(&[of("softmax", 0), of("sigmoid", 1)]), ["softmax, seed 0", "sigmoid, seed 1"]);
        assert_eq!(told(&[of("softmax", 0)]), ["search[method=softmax,rate=0.1,seed=0]"]);
        let [plain, long] = [at("search", &[]), at("long", &[("seed", json!(1))])];
        assert_eq!(told(&[plain.clone(), long.clone()]), ["search", "long seed 1"]);
        assert_eq!(told(&[plain]), ["search"]);
        assert!(told(&[]).is_empty());
    }

    #[test]
    fn seeds_have_a_hue_in_common_beside_other_methods_and_each_its_own_alone() {
        let of = |method: &str, seed: u64| at("search", &[("method", json!(method)), ("seed", json!(seed))]);
        let all = [of("softmax", 0), of("softmax", 1), of("sigmoid", 0)];
        let lines = |members: &[Input]| -> Vec<Series> {
            let called = distinct(&members.iter().collect::<Vec<_>>());
            called.iter().map(|called| called.line("fitted", &[], |_| None)).collect()
        };
        let told =
            |lines: &[Series]| lines.iter().map(|line| (line.name.clone(), line.hue.clone())).collect::<Vec<_>>();
        let pair = |name: &str, hue: &str| (name.to_owned(), hue.to_owned());
        let expected = [
            pair("softmax, seed 0, fitted", "softmax"),
            pair("softmax, seed 1, fitted", "softmax"),
            pair("sigmoid, seed 0, fitted", "sigmoid"),
        ];
        assert_eq!(told(&lines(&all)), expected);
        let expected = [pair("seed 0, fitted", "seed 0"), pair("seed 1, fitted", "seed 1")];
        assert_eq!(told(&lines(&all[..2])), expected);
        assert!(lines(&all).iter().all(|line| line.stroke == "fitted"));
    }
}
