//! `attribution_credits`: which channel is credited with how many conversions, by a rule, a Markov chain or Shapley's value.

use rapport_stats::attribution::{Credits, Path, Rule, credit};
use rapport_stats::markov::Transitions;
use rapport_stats::{Error, Result, shapley};
use rapport_udf_face::{Aggregate, Answer, Argument, Page, Rows, Value, cancel};

const METHODS: &str =
    "first, last, linear, position, time_decay, markov, markov_2, markov_3, markov_4 and shapley";
const AGES: usize = 4;

pub(crate) const AGGREGATE: Aggregate = Aggregate {
    name: "attribution_credits",
    arguments: &[
        Argument::text(
            "method",
            "'first', 'last', 'linear', 'position', 'time_decay', 'markov', 'markov_2' to 'markov_4' or 'shapley', the same in all rows",
        ),
        Argument::labels(
            "path",
            "the channels of the contacts, in the order of time, an array",
        ),
        Argument::number(
            "conversions",
            "how many journeys came along this path and converted, not below 0",
        ),
        Argument::number(
            "misses",
            "how many came along it and did not, not below 0",
        ),
        Argument::numbers(
            "ages",
            "of time_decay: the time from each contact of the path to the conversion, an array of numbers not below 0, in any unit",
        )
        .optional(),
        Argument::constant(
            "half_life",
            "of time_decay: by how much earlier a contact counts half, in the unit of ages, above 0; 7 if left out; the same in all rows",
        )
        .optional(),
    ],
    answer: Answer::Rows(&[
        ("channel", Answer::Text),
        ("conversions", Answer::Number),
        ("share", Answer::Number),
        ("removal_effect", Answer::Number),
    ]),
    page: Page {
        section: "Attribution",
        says: "Which channel is credited with how many of the conversions, as an array of rows to unnest, the highest credit first: channel, conversions, share (of all conversions; NULL without any) and removal_effect. By rule: 'first' and 'last' give all to one contact, 'linear' the same to each, 'position' 40 % to the first, 40 % to the last and the rest to those between, 'time_decay' half as much to a contact one half_life earlier. 'markov' asks which share of the conversions would be lost without the channel (the removal_effect, NULL for other methods) if each contact depends on the last one, 'markov_2' to 'markov_4' on the last two to four. 'shapley' divides a path's conversions equally among its different channels, which is Shapley's value where a set of channels is worth the conversions of the paths that need no other; exact for any number of channels. Credits always add up to the conversions. Rows with a NULL are left out; NULL without any row. Refused (22023) are another method, counts below 0, conversions without a channel, and time_decay without as many ages as contacts.",
        example: "SELECT (unnest(attribution_credits('markov', ARRAY['search', 'mail'], 3, 10))).*;",
    },
    work,
};

/// By the channel's number.
struct Credited {
    conversions: Vec<f64>,
    removal_effects: Option<Vec<f64>>,
}

impl From<Credits> for Credited {
    fn from(credits: Credits) -> Self {
        Self {
            conversions: credits.by_channel().to_vec(),
            removal_effects: None,
        }
    }
}

fn work(rows: &Rows) -> Result<Value> {
    let (paths, n_channels) = rows.label_arrays(1);
    let counts = rows.numbers(2).iter().zip(rows.numbers(3));
    let paths: Vec<Path> = paths
        .into_iter()
        .zip(counts)
        .map(|(path, (conversions, misses))| Path::new(path, *conversions, *misses))
        .collect::<Result<_>>()?;
    let total: f64 = rows.numbers(2).iter().sum();
    let mut credited = credited(rows, &paths)?;
    credited.conversions.resize(n_channels, 0.0);
    let mut order: Vec<u32> = (0..n_channels as u32).collect();
    let of = |values: &[f64], channel: &u32| values.get(*channel as usize).copied();
    let credit = |channel: &u32| of(&credited.conversions, channel).unwrap_or(0.0);
    order.sort_by(|a, b| credit(b).total_cmp(&credit(a)));
    let column = |f: &dyn Fn(&u32) -> f64| order.iter().map(f).collect::<Vec<f64>>().into();
    let effect = |channel: &u32| match &credited.removal_effects {
        Some(effects) => of(effects, channel).unwrap_or(0.0),
        None => f64::NAN,
    };
    Ok(Value::Rows(vec![
        rows.labelled(1, order.iter().copied()),
        column(&credit),
        column(&|channel| credit(channel) / total),
        column(&effect),
    ]))
}

fn credited(rows: &Rows, paths: &[Path]) -> Result<Credited> {
    let by_rule = |rule: Rule| Ok(credit(rule, paths)?.into());
    match rows.text(0).unwrap_or_default() {
        "first" => by_rule(Rule::FIRST),
        "last" => by_rule(Rule::LAST),
        "linear" => by_rule(Rule::LINEAR),
        "position" => by_rule(Rule::position(0.4, 0.4)?),
        "time_decay" => Ok(by_age(rows)?.into()),
        "markov" => by_chain(1, paths),
        "markov_2" => by_chain(2, paths),
        "markov_3" => by_chain(3, paths),
        "markov_4" => by_chain(4, paths),
        "shapley" => Ok(shapley::of_paths(paths).into()),
        other => Err(Error::Name {
            name: format!("method {other}"),
            known: METHODS,
        }),
    }
}

fn by_age(rows: &Rows) -> Result<Credits> {
    let rule = Rule::time_decay(rows.constant(AGES + 1).unwrap_or(7.0))?;
    let (paths, _) = rows.label_arrays(1);
    let ages = rows.arrays(AGES);
    let is_of = |(path, ages): (&Vec<u32>, &&[f64])| path.len() == ages.len();
    if ages.len() != paths.len() || !paths.iter().zip(&ages).all(is_of) {
        return Err(Error::Contradiction(
            "time_decay needs as many ages as a path has contacts",
        ));
    }
    let mut credits = Credits::default();
    for ((path, ages), conversions) in paths.iter().zip(ages).zip(rows.numbers(2)) {
        credits.add(path, &rule.shares(ages)?, *conversions);
    }
    Ok(credits)
}

fn by_chain(order: usize, paths: &[Path]) -> Result<Credited> {
    let mut transitions = Transitions::new(order)?;
    paths.iter().for_each(|path| transitions.add(path));
    let found = transitions.attribute(&cancel::asked())?;
    Ok(Credited {
        conversions: found.conversions,
        removal_effects: Some(found.removal_effects),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, ListBuilder, StringBuilder};
    use arrow::datatypes::Float64Type;
    use datafusion_common::{Result, ScalarValue};
    use rapport_udf_face::check;

    fn ask(method: &str, paths: &[(&str, f64, f64)]) -> Result<Vec<(String, f64)>> {
        let mut path = ListBuilder::new(StringBuilder::new());
        for (channels, ..) in paths {
            path.append_value(channels.split('>').map(Some));
        }
        let of = |f: fn(&(&str, f64, f64)) -> f64| -> ArrayRef {
            check::column_of(&paths.iter().map(f).collect::<Vec<_>>())
        };
        let columns = [
            check::labels(vec![method; paths.len()]),
            Arc::new(path.finish()) as ArrayRef,
            of(|path| path.1),
            of(|path| path.2),
        ];
        let ScalarValue::List(rows) = check::gather(&super::AGGREGATE.function(), &columns)? else {
            panic!("an array");
        };
        let rows = rows.value(0);
        let channels = rows.as_struct().column(0).as_string_view().clone();
        let credits = rows.as_struct().column(1);
        let credits = credits.as_primitive::<Float64Type>().values().to_vec();
        let channels = channels.iter().flatten().map(str::to_owned);
        Ok(channels.zip(credits).collect())
    }

    #[test]
    fn g7_shapley() {
        // The game v(A)=10, v(B)=20, v(C)=0, v(AB)=50, v(AC)=15, v(BC)=30, v(ABC)=70 as paths.
        let paths = [
            ("A", 10.0, 0.0),
            ("B", 20.0, 0.0),
            ("B>A", 20.0, 0.0),
            ("A>C", 5.0, 0.0),
            ("B>C", 10.0, 0.0),
            ("A>B>C", 5.0, 0.0),
        ];
        let credits = ask("shapley", &paths).expect("credits");
        let expected = [("B", 36.6667), ("A", 24.1667), ("C", 9.1667)];
        assert_eq!(credits.len(), 3);
        for ((channel, credit), (name, wanted)) in credits.iter().zip(expected) {
            assert_eq!(channel, name);
            assert!((credit - wanted).abs() < 1e-4, "{channel}: {credit}");
        }
    }

    #[test]
    fn every_method_adds_up_to_the_conversions() {
        let paths = [("a>b>a>c", 3.0, 1.0), ("c", 2.0, 5.0), ("b>d", 0.0, 4.0)];
        for method in super::METHODS.replace(" and ", ", ").split(", ") {
            if method == "time_decay" {
                continue;
            }
            let credits = ask(method, &paths).expect("credits");
            assert_eq!(credits.len(), 4);
            let sum: f64 = credits.iter().map(|(_, credit)| credit).sum();
            assert!((sum - 5.0).abs() < 1e-9, "{method}: {sum}");
        }
    }

    #[test]
    fn another_method_is_refused_by_name() {
        let error = ask("best", &[("a", 1.0, 0.0)]).expect_err("refused");
        check::is_refusal(&error, "there is no method best; there are first, last");
        let error = ask("time_decay", &[("a", 1.0, 0.0)]).expect_err("refused");
        check::is_refusal(&error, "as many ages");
        let error = ask("first", &[("a", -1.0, 0.0)]).expect_err("refused");
        check::is_refusal(&error, "conversions");
    }
}
