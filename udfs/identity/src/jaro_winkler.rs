//! `jaro`, `jaro_winkler`: how alike two names are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Builder, StringViewArray};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::{
    ColumnarValue, DocSection, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use rapport_stats::jaro_winkler::Comparer;
use rapport_udf_face::{cancel, no_such_function};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    let jaro = Similarity::new(
        "jaro",
        Comparer::jaro,
        "How alike two texts are by Jaro, from 0 (nothing in common) to 1 (equal): by characters that they have in common, not too \
            far apart, and by how many of these are out of order. Upper and lower case, accents and spaces count: normalise first. \
            NULL if a text is NULL.",
        "SELECT jaro('MARTHA', 'MARHTA')",
    );
    let jaro_winkler = Similarity::new(
        "jaro_winkler",
        Comparer::jaro_winkler,
        "How alike two names are by Jaro and Winkler, from 0 (nothing in common) to 1 (equal): as jaro, and where that is above 0.7 a \
            common beginning of up to four characters adds a tenth of what is missing to 1 for each. Upper and lower case, accents \
            and spaces count: normalise first. NULL if a text is NULL.",
        "SELECT a.customer_id, b.customer_id FROM customers a JOIN customers b ON a.birth_date = b.birth_date AND a.customer_id < \
            b.customer_id WHERE jaro_winkler(lower(a.last_name), lower(b.last_name)) > 0.92",
    );
    [jaro, jaro_winkler]
        .map(|function| Arc::new(ScalarUDF::from(function)))
        .to_vec()
}

#[derive(Debug)]
struct Similarity {
    name: &'static str,
    compare: fn(&mut Comparer, &str, &str) -> f64,
    signature: Signature,
    documentation: Documentation,
}

impl Similarity {
    fn new(
        name: &'static str,
        compare: fn(&mut Comparer, &str, &str) -> f64,
        description: &'static str,
        example: &'static str,
    ) -> Self {
        let section = DocSection {
            include: true,
            label: "Identity",
            description: None,
        };
        let usage = format!("{name}(a, b)");
        let documentation = Documentation::builder(section, description, usage)
            .with_sql_example(example)
            .with_argument("a", "one text")
            .with_argument("b", "the other")
            .build();
        Self {
            name,
            compare,
            signature: Signature::user_defined(Volatility::Immutable),
            documentation,
        }
    }

    fn compare_all(
        &self,
        a: &StringViewArray,
        b: &StringViewArray,
        n_rows: usize,
    ) -> Result<ArrayRef> {
        // A single text is compared with all of the others.
        let place = |texts: &StringViewArray, row: usize| if texts.len() == 1 { 0 } else { row };
        let mut comparer = Comparer::default();
        let mut answers = Float64Builder::with_capacity(n_rows);
        for row in 0..n_rows {
            cancel::check(row)?;
            let (at_a, at_b) = (place(a, row), place(b, row));
            let is_known = a.is_valid(at_a) && b.is_valid(at_b);
            let answer = || (self.compare)(&mut comparer, a.value(at_a), b.value(at_b));
            answers.append_option(is_known.then(answer));
        }
        Ok(Arc::new(answers.finish()))
    }
}

impl PartialEq for Similarity {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Similarity {}

impl std::hash::Hash for Similarity {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Similarity {
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
        let are_texts = given.iter().all(|given| {
            use DataType::{LargeUtf8, Null, Utf8, Utf8View};
            matches!(given, Utf8 | Utf8View | LargeUtf8 | Null)
        });
        match are_texts && given.len() == 2 {
            true => Ok(vec![DataType::Utf8View; 2]),
            false => Err(no_such_function(self.name, given)),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args
            .args
            .iter()
            .all(|text| matches!(text, ColumnarValue::Scalar(_)));
        let n_rows = if is_constant { 1 } else { args.number_rows };
        let texts = |text: &ColumnarValue| match text {
            ColumnarValue::Scalar(text) => text.to_array(),
            ColumnarValue::Array(texts) => Ok(texts.clone()),
        };
        let (a, b) = (texts(&args.args[0])?, texts(&args.args[1])?);
        let answers = self.compare_all(a.as_string_view(), b.as_string_view(), n_rows)?;
        match is_constant {
            true => Ok(ColumnarValue::Scalar(
                datafusion_common::ScalarValue::try_from_array(&answers, 0)?,
            )),
            false => Ok(ColumnarValue::Array(answers)),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Float64Type};
    use datafusion_common::ScalarValue;
    use datafusion_common::config::ConfigOptions;

    use super::*;

    fn function(name: &str) -> Arc<ScalarUDF> {
        let named = functions()
            .into_iter()
            .find(|function| function.name() == name);
        named.expect("a function")
    }

    fn call(name: &str, args: [ColumnarValue; 2], number_rows: usize) -> ColumnarValue {
        let field = Arc::new(Field::new("", DataType::Utf8View, true));
        let args = ScalarFunctionArgs {
            args: args.to_vec(),
            arg_fields: vec![field.clone(), field],
            number_rows,
            return_field: Arc::new(Field::new("", DataType::Float64, true)),
            config_options: Arc::new(ConfigOptions::default()),
        };
        function(name).invoke_with_args(args).expect("a number")
    }

    fn text(text: Option<&str>) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::Utf8View(text.map(str::to_owned)))
    }

    fn check(name: &str, a: &str, b: &str, expected: f64) {
        let ColumnarValue::Scalar(ScalarValue::Float64(Some(got))) =
            call(name, [text(Some(a)), text(Some(b))], 1)
        else {
            panic!("{name} of two texts is a number");
        };
        assert!((got - expected).abs() < 5e-4, "{name}({a}, {b}): {got}");
    }

    #[test]
    fn names_of_winkler_s_table() {
        for (a, b, jaro, jaro_winkler) in [
            ("MARTHA", "MARHTA", 0.944, 0.961),
            ("DWAYNE", "DUANE", 0.822, 0.840),
            ("DIXON", "DICKSONX", 0.767, 0.813),
        ] {
            check("jaro", a, b, jaro);
            check("jaro_winkler", a, b, jaro_winkler);
        }
    }

    #[test]
    fn a_column_beside_a_constant() {
        let names: ArrayRef = Arc::new(StringViewArray::from(vec![Some("anna"), None, Some("")]));
        for args in [
            [ColumnarValue::Array(names.clone()), text(Some("anna"))],
            [text(Some("anna")), ColumnarValue::Array(names)],
        ] {
            let ColumnarValue::Array(got) = call("jaro_winkler", args, 3) else {
                panic!("a column is compared with a column");
            };
            let got: Vec<_> = got.as_primitive::<Float64Type>().iter().collect();
            assert_eq!(got, [Some(1.0), None, Some(0.0)]);
        }
    }

    #[test]
    fn null_is_like_nothing() {
        let got = call("jaro", [text(None), text(Some("x"))], 1);
        assert!(matches!(
            got,
            ColumnarValue::Scalar(ScalarValue::Float64(None))
        ));
    }

    #[test]
    fn two_texts_are_taken() {
        let coerced = |given: &[DataType]| function("jaro").coerce_types(given).ok();
        let expected = vec![DataType::Utf8View; 2];
        assert_eq!(coerced(&[DataType::Utf8, DataType::Null]), Some(expected));
        assert_eq!(coerced(&[DataType::Utf8]), None);
        assert_eq!(coerced(&[DataType::Utf8, DataType::Int64]), None);
    }
}
