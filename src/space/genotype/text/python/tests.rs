use super::*;

/// A value as JSON would have it, calls as `name(…)`.
fn shown(value: &Value) -> String {
    let all = |items: &[Value]| items.iter().map(shown).collect::<Vec<_>>().join(",");
    match &value.kind {
        Kind::Sequence(items) => format!("[{}]", all(items)),
        Kind::Dictionary(pairs) => {
            let pairs: Vec<String> = pairs.iter().map(|(key, of)| format!("{}:{}", shown(key), shown(of))).collect();
            format!("{{{}}}", pairs.join(","))
        }
        Kind::Call { name, arguments, named } => {
            let named: String = named.iter().map(|(name, of)| format!(";{}={}", name.text, shown(of))).collect();
            format!("{name}({}{named})", all(arguments))
        }
        _ => value.described(),
    }
}

#[test]
fn literals_are_read_as_python_means_them() {
    for (text, expected) in [
        ("(1, -2, +3, 4_000, 0.5, 1e-3, .5)", "[`1`,`-2`,`3`,`4000`,`0.5`,`0.001`,`0.5`]"),
        ("(1)", "`1`"),
        ("(1,)", "[`1`]"),
        ("()", "[]"),
        ("{}", "{}"),
        ("{1, 2,}", "[`1`,`2`]"),
        ("{'a': [True, None], \"b\": null}", "{`a`:[`True`,`None`],`b`:`None`}"),
        ("'it\\'s' \" two\"", "`it's two`"),
        ("'''a\nb'''", "`a\nb`"),
        ("r'\\d' ", "`\\d`"),
        ("u'\\u00e9\\x41\\q'", "`éA\\q`"),
        ("list(range(2, 6))", "[`2`,`3`,`4`,`5`]"),
        ("[range(2), range(1, 6, 2)]", "[[`0`,`1`],[`1`,`3`,`5`]]"),
        ("[np.int64(0), numpy.float32(0.5), int(3), np.str_('x')]", "[`0`,`0.5`,`3`,`x`]"),
        ("array([1, 2], dtype=int64(1))", "[`1`,`2`]"),
        ("OrderedDict([('a', 1), ('b', 2)])", "{`a`:`1`,`b`:`2`}"),
        ("defaultdict(None, {'a': 1})", "{`a`:`1`}"),
        ("dict(a=1)", "{`a`:`1`}"),
        ("genotypes.Genotype([1], # one\n  b = 2 \\\n , c=(3,))", "genotypes.Genotype([`1`];b=`2`;c=[`3`])"),
    ] {
        let value = Value::whole(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(shown(&value), expected, "{text}");
    }
}

#[test]
fn what_is_no_literal_is_named_with_its_place() {
    let deep = "[".repeat(50_000);
    for (text, expected) in [
        ("[1,\n  zero]", "line 2, column 3: `zero` is a name, not a value"),
        ("['a", "line 1, column 2: a text has no closing quote"),
        ("['a\n']", "line 1, column 2: a text has no closing quote"),
        ("[1 2]", "line 1, column 4: expected `]`, found `2]`"),
        ("{'a': 1, 'b'}", "line 1, column 13: expected `:`, found `}`"),
        ("(é, 1)", "line 1, column 2: `é` is a name, not a value"),
        ("[1]\n[2]", "line 2, column 1: expected nothing after the genotype"),
        ("range(0, 99999999999)", "line 1, column 1: a range of more than 1024 states"),
        ("range(0, 9, 0)", "line 1, column 1: expected `range(first, end)`"),
        ("1x", "line 1, column 1: `1x` is no number"),
        ("[", "line 1, column 2: expected a value, found the end"),
        (&deep, "line 1, column 34: brackets nest deeper than 32"),
    ] {
        assert_eq!(Value::whole(text).unwrap_err().to_string(), expected, "{:.40}", text);
    }
}
