//! A function of the answers to one question: the face that all of this crate share.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::{Result, ScalarValue, not_impl_err};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::utils::AggregateOrderSensitivity;
use datafusion_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, DocSection, Documentation, GroupsAccumulator,
    Signature, Volatility,
};
use rapport_stats::voice::Answers;
use rapport_stats::{Error, Result as StatsResult};
use rapport_udf_face::{constant, is_unknown, no_columns, no_such_function, refused, state_fields};

use crate::scale::Scale;
use crate::tally::{Tally, TallyOfAll, state_types};

/// A constant after the score.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub name: &'static str,
    /// Of one that may be left out.
    pub default: Option<f64>,
    pub description: &'static str,
}

pub(crate) const LEVEL: Parameter = Parameter {
    name: "level",
    default: Some(0.95),
    description: "confidence level of the interval, between 0 and 1, anything else is refused (22023); 0.95 if left out",
};

const NOT_CONSTANT: &str =
    "the scale and the level are the same for all scores: give constants, not columns";

type Number = Arc<dyn Fn(&Answers) -> StatsResult<f64> + Send + Sync>;

/// What is asked: on which scale, and which number of the answers is wanted.
#[derive(Clone)]
pub(crate) struct Question {
    pub scale: Scale,
    number: Number,
}

impl Question {
    pub(crate) fn new(
        scale: Scale,
        number: impl Fn(&Answers) -> StatsResult<f64> + Send + Sync + 'static,
    ) -> Self {
        Self {
            scale,
            number: Arc::new(number),
        }
    }

    pub(crate) fn number(&self, answers: &Answers) -> StatsResult<f64> {
        (self.number)(answers)
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Question({:?})", self.scale)
    }
}

/// What a family of functions has in common, and how each of them differs.
pub(crate) struct Family {
    pub parameters: &'static [Parameter],
    pub score: &'static str,
    /// What is refused, and what becomes of NULL.
    pub rules: &'static str,
}

pub(crate) struct Member {
    pub name: &'static str,
    pub description: &'static str,
    pub example: &'static str,
    /// From one number for each parameter.
    pub ask: fn(&[f64]) -> StatsResult<Question>,
}

impl Family {
    pub(crate) fn function(&self, member: Member) -> Arc<AggregateUDF> {
        let usage = self.usage(member.name);
        let constants = match self.parameters {
            [] => "",
            _ => {
                " Other arguments are the same for all scores; one that is NULL is as if it were left out."
            }
        };
        let description = format!("{} {}{constants}", member.description, self.rules);
        let section = DocSection {
            include: true,
            label: "Voice of the customer",
            description: None,
        };
        let mut documentation = Documentation::builder(section, description, usage)
            .with_sql_example(member.example)
            .with_argument("score", self.score);
        for parameter in self.parameters {
            documentation = documentation.with_argument(parameter.name, parameter.description);
        }
        let documentation = documentation.with_argument(
            "weight",
            "how many customers the answer stands for, at least 0; 1 if left out. Needs all arguments before it",
        );
        Arc::new(AggregateUDF::from(OfAnswers {
            name: member.name,
            parameters: self.parameters,
            ask: member.ask,
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: documentation.build(),
        }))
    }

    /// `csat(score [, top_from [, highest [, weight]]])`
    fn usage(&self, name: &str) -> String {
        let is_needed = |parameter: &&Parameter| parameter.default.is_none();
        let needed = self.parameters.iter().filter(is_needed);
        let needed: String = needed.map(|known| format!(", {}", known.name)).collect();
        let others = self.parameters.iter().filter(|known| !is_needed(known));
        let others: Vec<&str> = others.map(|known| known.name).chain(["weight"]).collect();
        let (open, close) = (others.join(" [, "), "]".repeat(others.len()));
        format!("{name}(score{needed} [, {open}{close})")
    }
}

/// A level that intervals can have, known before there is anything to make one of.
pub(crate) fn level_of(level: f64) -> StatsResult<f64> {
    match level > 0.0 && level < 1.0 {
        true => Ok(level),
        false => Err(Error::Range {
            name: "level",
            range: "between 0 and 1",
            value: level,
        }),
    }
}

#[derive(Debug)]
struct OfAnswers {
    name: &'static str,
    parameters: &'static [Parameter],
    ask: fn(&[f64]) -> StatsResult<Question>,
    signature: Signature,
    documentation: Documentation,
}

impl PartialEq for OfAnswers {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OfAnswers {}

impl Hash for OfAnswers {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl OfAnswers {
    /// The weight comes only after all constants.
    fn is_weighted(&self, n_arguments: usize) -> bool {
        n_arguments == self.parameters.len() + 2
    }

    fn tally(&self, args: &AccumulatorArgs) -> Result<Tally> {
        if args.is_distinct {
            return not_impl_err!("{}(DISTINCT …)", self.name);
        }
        let mut constants = vec![];
        for n in 1..args.exprs.len().min(self.parameters.len() + 1) {
            let value = args.exprs[n].evaluate(&no_columns());
            constants.push(constant(value, NOT_CONSTANT)?);
        }
        let question = self.question(&constants).map_err(refused)?;
        Ok(Tally::new(question, self.is_weighted(args.exprs.len())))
    }

    /// NULL is as if nothing were given.
    fn question(&self, given: &[ScalarValue]) -> StatsResult<Question> {
        let number = |(n, parameter): (usize, &Parameter)| match (given.get(n), parameter.default) {
            (Some(ScalarValue::Float64(Some(number))), _) => Ok(*number),
            (_, Some(default)) => Ok(default),
            (_, None) => Err(Error::Contradiction("the scale must not be NULL")),
        };
        let numbers: Vec<f64> = self
            .parameters
            .iter()
            .enumerate()
            .map(number)
            .collect::<StatsResult<_>>()?;
        (self.ask)(&numbers)
    }
}

impl AggregateUDFImpl for OfAnswers {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let is_needed = |parameter: &&Parameter| parameter.default.is_none();
        let least = 1 + self.parameters.iter().filter(is_needed).count();
        let most = self.parameters.len() + 2;
        let are_numbers = given
            .iter()
            .all(|data_type| data_type.is_numeric() || is_unknown(data_type));
        match given {
            [score, others @ ..] if are_numbers && (least..=most).contains(&given.len()) => {
                let score = match score.is_integer() {
                    true => DataType::Int64,
                    false => DataType::Float64,
                };
                let numbers = others.iter().map(|_| DataType::Float64);
                Ok([score].into_iter().chain(numbers).collect())
            }
            _ => Err(no_such_function(self.name, given)),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(state_fields(&args, state_types()))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(TallyOfAll::new(self.tally(&args)?)))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.tally(&args)?))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// What SQL gives for scores and their weights.
#[cfg(test)]
pub(crate) fn answer(
    family: &[Arc<AggregateUDF>],
    name: &str,
    constants: &[f64],
    scores: arrow::array::ArrayRef,
    weights: Option<arrow::array::ArrayRef>,
) -> Result<Option<f64>, String> {
    let function = family.iter().find(|function| function.name() == name);
    let function = function.expect("of the family").inner().as_ref() as &dyn std::any::Any;
    let function: &OfAnswers = function.downcast_ref().expect("all are of answers");
    let constants: Vec<ScalarValue> = constants.iter().map(|number| (*number).into()).collect();
    let said = |error: datafusion_common::DataFusionError| error.to_string();
    let question = function.question(&constants).map_err(|e| e.to_string())?;
    let mut tally = TallyOfAll::new(Tally::new(question, weights.is_some()));
    let arrays: Vec<_> = [scores].into_iter().chain(weights).collect();
    tally.update_batch(&arrays).map_err(said)?;
    match tally.evaluate().map_err(said)? {
        ScalarValue::Float64(number) => Ok(number),
        other => Err(format!("{other} is no number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family() -> Family {
        const PARAMETERS: &[Parameter] = &[
            Parameter {
                name: "answer",
                default: None,
                description: "",
            },
            LEVEL,
        ];
        Family {
            parameters: PARAMETERS,
            score: "",
            rules: "",
        }
    }

    fn function() -> Arc<AggregateUDF> {
        family().function(Member {
            name: "share",
            description: "",
            example: "",
            ask: |_| Ok(Question::new(Scale::new(1, 2)?, |_| Ok(1.0))),
        })
    }

    #[test]
    fn usage_tells_what_may_be_left_out() {
        assert_eq!(
            family().usage("share"),
            "share(score, answer [, level [, weight]])"
        );
    }

    #[test]
    fn numbers_of_any_type_are_taken_and_nothing_else() {
        use DataType::{Decimal128, Float64, Int32, Int64, Null, Utf8, Utf8View};
        let coerced =
            |given: &[DataType]| function().coerce_types(given).map_err(|e| e.to_string());
        assert_eq!(coerced(&[Int32, Int64]), Ok(vec![Int64, Float64]));
        let numeric = Decimal128(18, 2);
        let expected = vec![Float64; 4];
        assert_eq!(coerced(&[numeric, Utf8, Null, Int32]), Ok(expected));
        for given in [
            &[Int32][..],
            &[Utf8View, Int32],
            &[Int32, Utf8View],
            &vec![Int32; 5],
        ] {
            assert!(coerced(given).is_err(), "{given:?}");
        }
        let said = "External error: function share(text, integer) does not exist";
        assert_eq!(coerced(&[Utf8View, Int32]), Err(said.to_owned()));
    }
}
