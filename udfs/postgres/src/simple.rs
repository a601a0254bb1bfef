//! A function as a list of the arguments it takes, each with the Rust function that computes a batch of rows.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Int32Array, ListArray, ListBuilder,
        StringViewArray, StringViewBuilder,
    },
    datatypes::{DataType, Field, FieldRef, Int64Type},
};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, DocSection, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, type_coercion::binary::comparison_coercion,
};

use crate::{output::Output, refusal::refuse_with_hint, text::Zone};

/// Key of a field's metadata under which its PostgreSQL type stands, as `format_type` prints it.
pub const PG_TYPE: &str = "rapport.pg_type";

/// Types of arguments and results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// smallint, integer or bigint, computed as bigint.
    Int,
    Int4,
    Bool,
    Bytea,
    Uuid,
    Json,
    Jsonb,
    Texts,
    TextLists,
    Jsons,
    Jsonbs,
    /// Whatever it is.
    Any,
    /// An array of whatever it is.
    AnyArray,
    /// An array whose elements have the type of all [`Kind::Item`]s and of the elements of all other such arrays.
    List,
    Item,
    Int4s,
    Int8s,
}

impl Kind {
    /// What an argument becomes, and how far away that is; `None` if it is something else altogether.
    fn accepts(self, given: &DataType) -> Option<(u32, DataType)> {
        use DataType as D;
        let is_text = matches!(given, D::Utf8 | D::Utf8View | D::LargeUtf8);
        let unknown = given.is_null();
        let to = |data_type: DataType, cost: u32| Some((cost, data_type));
        match self {
            Kind::Text | Kind::Uuid | Kind::Json | Kind::Jsonb => match given {
                _ if is_text => to(D::Utf8View, 0),
                D::Dictionary(_, value) if matches!(value.as_ref(), D::Utf8 | D::Utf8View) => {
                    to(D::Utf8View, 0)
                }
                _ if unknown => to(D::Utf8View, 1),
                _ => None,
            },
            Kind::Int | Kind::Int4 => match given {
                D::Int64 => to(D::Int64, 0),
                _ if given.is_integer() => to(D::Int64, 1),
                _ if unknown => to(D::Int64, 2),
                _ if is_text => to(D::Int64, 10),
                _ => None,
            },
            Kind::Bool => match given {
                D::Boolean => to(D::Boolean, 0),
                _ if unknown => to(D::Boolean, 2),
                _ if is_text => to(D::Boolean, 10),
                _ => None,
            },
            Kind::Bytea => match given {
                D::Binary => to(D::Binary, 0),
                D::BinaryView | D::LargeBinary | D::FixedSizeBinary(_) => to(D::Binary, 0),
                _ if unknown => to(D::Binary, 3),
                _ if is_text => to(D::Binary, 10),
                _ => None,
            },
            Kind::Texts => match given {
                D::List(element) | D::LargeList(element)
                    if matches!(
                        element.data_type(),
                        D::Utf8 | D::Utf8View | D::LargeUtf8 | D::Null
                    ) =>
                {
                    to(texts_type(), 0)
                }
                _ if unknown => to(texts_type(), 3),
                _ if is_text => to(texts_type(), 10),
                _ => None,
            },
            Kind::TextLists | Kind::Jsons | Kind::Jsonbs | Kind::Int4s | Kind::Int8s => None,
            Kind::List => match given {
                D::List(_) | D::LargeList(_) | D::FixedSizeList(..) => to(given.clone(), 0),
                _ if unknown => to(D::Null, 3),
                _ if is_text => to(D::Null, 10),
                _ => None,
            },
            Kind::Item => match given {
                D::List(_) | D::LargeList(_) => to(given.clone(), 5),
                _ => to(given.clone(), 2),
            },
            Kind::AnyArray => match given {
                D::List(_) => to(given.clone(), 0),
                D::LargeList(element) | D::FixedSizeList(element, _) => {
                    to(D::List(element.clone()), 1)
                }
                _ if unknown => to(D::Null, 3),
                _ => None,
            },
            Kind::Any => to(given.clone(), 5),
        }
    }

    fn field(self, given: &[FieldRef], types: &[DataType]) -> Field {
        let named = |data_type, pg_type: &str| {
            let metadata = HashMap::from([(PG_TYPE.to_owned(), pg_type.to_owned())]);
            Field::new("", data_type, true).with_metadata(metadata)
        };
        let list_of = |pg_type: &str| {
            let item = named(DataType::Utf8View, pg_type).with_name(Field::LIST_FIELD_DEFAULT_NAME);
            named(DataType::List(Arc::new(item)), &format!("{pg_type}[]"))
        };
        let data_type = match self {
            Kind::Text => DataType::Utf8View,
            Kind::Int => DataType::Int64,
            Kind::Int4 => DataType::Int32,
            Kind::Bool => DataType::Boolean,
            Kind::Bytea => DataType::Binary,
            Kind::Uuid => return named(DataType::Utf8View, "uuid"),
            Kind::Json => return named(DataType::Utf8View, "json"),
            Kind::Jsonb => return named(DataType::Utf8View, "jsonb"),
            Kind::Texts => texts_type(),
            Kind::TextLists => DataType::List(Arc::new(Field::new_list_field(texts_type(), true))),
            Kind::Jsons => return list_of("json"),
            Kind::Jsonbs => return list_of("jsonb"),
            Kind::Int4s => DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true))),
            Kind::Int8s => DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true))),
            Kind::List | Kind::Item => {
                let list = types
                    .iter()
                    .find(|given| matches!(given, DataType::List(_)));
                let list = list.expect("a function of a list has one").clone();
                let known = given.iter().find(|given| given.data_type() == &list);
                match (self, &list) {
                    (Kind::Item, DataType::List(element)) => {
                        return element.as_ref().clone().with_nullable(true);
                    }
                    _ => match known {
                        Some(known) => return known.as_ref().clone().with_nullable(true),
                        None => list,
                    },
                }
            }
            Kind::Any | Kind::AnyArray => {
                let first = given
                    .first()
                    .expect("a function of its first argument has one");
                return first.as_ref().clone().with_nullable(true);
            }
        };
        Field::new("", data_type, true)
    }
}

pub(crate) fn texts_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)))
}

/// One list of arguments that a function takes.
#[derive(Debug)]
pub(crate) struct Overload {
    pub takes: &'static [Kind],
    /// As many more as one likes.
    pub more: Option<Kind>,
    pub gives: Kind,
    pub work: fn(&Call) -> Result<ArrayRef>,
}

impl Overload {
    fn accepts(&self, given: &[DataType]) -> Option<(u32, Vec<DataType>)> {
        if given.len() < self.takes.len() || (given.len() > self.takes.len() && self.more.is_none())
        {
            return None;
        }
        let kinds = self
            .takes
            .iter()
            .copied()
            .chain(self.more.into_iter().cycle());
        let mut total = 0;
        let mut types = Vec::with_capacity(given.len());
        for (given, kind) in given.iter().zip(kinds) {
            let (cost, data_type) = kind.accepts(given)?;
            total += cost;
            types.push(data_type);
        }
        let kinds = self
            .takes
            .iter()
            .copied()
            .chain(self.more.into_iter().cycle());
        let kinds: Vec<Kind> = kinds.take(types.len()).collect();
        unify(&kinds, &mut types)?;
        Some((total, types))
    }
}

/// Gives lists and items one type of element; `None` if there is none.
fn unify(kinds: &[Kind], types: &mut [DataType]) -> Option<()> {
    let mut common: Option<DataType> = None;
    for (kind, data_type) in kinds.iter().zip(types.iter()) {
        let element = match (kind, data_type) {
            (
                Kind::List,
                DataType::List(element)
                | DataType::LargeList(element)
                | DataType::FixedSizeList(element, _),
            ) => element.data_type(),
            (Kind::Item, item) => item,
            _ => continue,
        };
        common = match common {
            None => Some(element.clone()),
            Some(known) if &known == element => Some(known),
            Some(DataType::Null) => Some(element.clone()),
            Some(known) if element.is_null() => Some(known),
            Some(known) => Some(comparison_coercion(&known, element)?),
        };
    }
    let Some(common) = common else {
        // Nothing but unknown texts and NULLs: an array of texts.
        let is_list = |kind: &Kind| *kind == Kind::List;
        for (kind, data_type) in kinds.iter().zip(types) {
            if is_list(kind) {
                *data_type = texts_type();
            }
        }
        return Some(());
    };
    let list = DataType::List(Arc::new(Field::new_list_field(common.clone(), true)));
    for (kind, data_type) in kinds.iter().zip(types) {
        match kind {
            Kind::List => *data_type = list.clone(),
            Kind::Item => *data_type = common.clone(),
            _ => {}
        }
    }
    Some(())
}

/// A function's face: name, what it is for, what it takes.
pub(crate) struct Simple {
    name: &'static str,
    aliases: Vec<String>,
    overloads: &'static [Overload],
    signature: Signature,
    /// Another answer for each row.
    is_random: bool,
    documentation: Documentation,
}

/// Immutable; `usage` is such as `left(text, count)`.
pub(crate) fn simple(
    name: &'static str,
    usage: &'static str,
    description: &'static str,
    overloads: &'static [Overload],
) -> Simple {
    let section = DocSection {
        include: true,
        label: "Text, JSON and arrays",
        description: None,
    };
    Simple {
        name,
        aliases: vec![],
        overloads,
        signature: Signature::user_defined(Volatility::Immutable),
        is_random: false,
        documentation: Documentation::builder(section, description, usage).build(),
    }
}

impl Simple {
    pub(crate) fn also(mut self, alias: &str) -> Self {
        self.aliases.push(alias.to_owned());
        self
    }

    /// The answer depends on the session's settings.
    pub(crate) fn stable(mut self) -> Self {
        self.signature = Signature::user_defined(Volatility::Stable);
        self
    }

    /// Another answer for each row.
    pub(crate) fn random(self) -> Self {
        Self {
            is_random: true,
            ..self.unfolded()
        }
    }

    /// It makes much of little. Never computed while the plan is made: nobody knows then for how many rows.
    pub(crate) fn unfolded(mut self) -> Self {
        self.signature = Signature::user_defined(Volatility::Volatile);
        self
    }

    pub(crate) fn udf(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(self))
    }

    fn pick(&self, given: &[DataType]) -> Result<(&'static Overload, Vec<DataType>)> {
        let accepted = self.overloads.iter().filter_map(|overload| {
            let (cost, types) = overload.accepts(given)?;
            Some((cost, overload, types))
        });
        match accepted.min_by_key(|(cost, ..)| *cost) {
            Some((_, overload, types)) => Ok((overload, types)),
            None => {
                let given: Vec<String> = given.iter().map(shown).collect();
                Err(refuse_with_hint(
                    "42883",
                    format!(
                        "function {}({}) does not exist",
                        self.name.trim_start_matches('\u{1}'),
                        given.join(", ")
                    ),
                    "No function matches the given name and argument types. You might need to add explicit type casts.",
                ))
            }
        }
    }
}

/// A type as PostgreSQL calls it, nearly.
pub(crate) fn shown(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "text".to_owned(),
        DataType::Null => "unknown".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double precision".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, None) => "timestamp without time zone".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".to_owned(),
        DataType::Interval(_) => "interval".to_owned(),
        DataType::Binary | DataType::BinaryView => "bytea".to_owned(),
        DataType::List(element) => format!("{}[]", shown(element.data_type())),
        other if other.is_numeric() => "numeric".to_owned(),
        other => other.to_string(),
    }
}

impl std::fmt::Debug for Simple {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Simple {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Simple {}

impl Hash for Simple {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Simple {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(self.pick(given)?.1)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let (overload, types) = self.pick(given)?;
        let given = types.iter();
        let given = given.map(|given| Arc::new(Field::new("", given.clone(), true)));
        let given: Vec<FieldRef> = given.collect();
        Ok(overload.gives.field(&given, &types).data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let given: Vec<DataType> = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let (overload, types) = self.pick(&given)?;
        let field = overload.gives.field(args.arg_fields, &types);
        Ok(Arc::new(field.with_name(self.name)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let given: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let (overload, _) = self.pick(&given)?;
        let constant = !self.is_random
            && args
                .args
                .iter()
                .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arguments = args.args.iter().map(|arg| {
            Ok(match arg {
                ColumnarValue::Array(array) => Argument {
                    array: array.clone(),
                    mask: usize::MAX,
                },
                ColumnarValue::Scalar(scalar) => Argument {
                    array: scalar.to_array()?,
                    mask: 0,
                },
            })
        });
        let zone = args.config_options.execution.time_zone.as_deref();
        let call = Call {
            arguments: arguments.collect::<Result<_>>()?,
            rows: if constant { 1 } else { args.number_rows },
            zone: zone.and_then(Zone::parse).unwrap_or(Zone::UTC),
            gives: args.return_field.data_type().clone(),
        };
        let done = (overload.work)(&call)?;
        Ok(if constant {
            let bytes = done.get_array_memory_size();
            if bytes > BIG_CONSTANT {
                bounded(bytes.saturating_mul(args.number_rows))?;
            }
            ColumnarValue::Scalar(match done.as_list_opt::<i32>() {
                // With what the type says of its elements, which DataFusion would leave out.
                Some(list) => ScalarValue::List(Arc::new(list.clone())),
                None => ScalarValue::try_from_array(&done, 0)?,
            })
        } else {
            ColumnarValue::Array(done)
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

struct Argument {
    array: ArrayRef,
    /// 0 if it is the same for all rows.
    mask: usize,
}

/// The arguments of one batch.
pub(crate) struct Call {
    arguments: Vec<Argument>,
    pub rows: usize,
    pub zone: Zone,
    /// The type of the answer.
    pub gives: DataType,
}

/// One value of this size for all rows of a batch is counted once for each: most functions make a row of it each.
const BIG_CONSTANT: usize = 1 << 20;

/// No answer of one batch is larger: what is refused would not fit into the memory of one statement either.
const MOST_BYTES: usize = 256 << 20;

impl Call {
    pub(crate) fn count(&self) -> usize {
        self.arguments.len()
    }

    pub(crate) fn array(&self, index: usize) -> &ArrayRef {
        &self.arguments[index].array
    }

    /// Where in the array the value of a row is.
    pub(crate) fn at(&self, index: usize, row: usize) -> usize {
        row & self.arguments[index].mask
    }

    pub(crate) fn is_null(&self, index: usize, row: usize) -> bool {
        let argument = &self.arguments[index];
        argument.array.data_type().is_null() || argument.array.is_null(row & argument.mask)
    }

    pub(crate) fn any_null(&self, row: usize) -> bool {
        (0..self.arguments.len()).any(|index| self.is_null(index, row))
    }

    pub(crate) fn text(&self, index: usize) -> Texts<'_> {
        let argument = &self.arguments[index];
        Texts {
            array: argument.array.as_string_view(),
            mask: argument.mask,
        }
    }

    pub(crate) fn int(&self, index: usize, row: usize) -> Option<i64> {
        let argument = &self.arguments[index];
        let array = argument.array.as_primitive::<Int64Type>();
        let at = row & argument.mask;
        array.is_valid(at).then(|| array.value(at))
    }

    pub(crate) fn bool(&self, index: usize, row: usize) -> Option<bool> {
        let argument = &self.arguments[index];
        let array = argument.array.as_boolean();
        let at = row & argument.mask;
        array.is_valid(at).then(|| array.value(at))
    }

    pub(crate) fn bytes(&self, index: usize, row: usize) -> Option<&[u8]> {
        let argument = &self.arguments[index];
        let array = argument.array.as_binary::<i32>();
        let at = row & argument.mask;
        array.is_valid(at).then(|| array.value(at))
    }

    pub(crate) fn list(&self, index: usize) -> &ListArray {
        self.arguments[index].array.as_list::<i32>()
    }

    /// Any value as PostgreSQL prints it.
    pub(crate) fn shown(&self, index: usize) -> Result<Output<'_>> {
        Output::new(&self.arguments[index].array, self.zone)
    }

    /// For each row a text, which `write` appends; `false` is NULL.
    pub(crate) fn texts(
        &self,
        mut write: impl FnMut(usize, &mut String) -> Result<bool>,
    ) -> Result<ArrayRef> {
        let mut builder = StringViewBuilder::with_capacity(self.rows);
        let mut text = String::new();
        let mut total = 0;
        for row in 0..self.rows {
            text.clear();
            if write(row, &mut text)? {
                total += text.len();
                bounded(total)?;
                builder.append_value(&text);
            } else {
                builder.append_null();
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    /// As [`Self::texts`]; NULL where an argument is.
    pub(crate) fn strict_texts(
        &self,
        mut write: impl FnMut(usize, &mut String) -> Result<()>,
    ) -> Result<ArrayRef> {
        self.texts(|row, out| {
            if self.any_null(row) {
                return Ok(false);
            }
            write(row, out)?;
            Ok(true)
        })
    }

    pub(crate) fn bools(
        &self,
        mut compute: impl FnMut(usize) -> Result<Option<bool>>,
    ) -> Result<ArrayRef> {
        let values = (0..self.rows).map(&mut compute);
        Ok(Arc::new(values.collect::<Result<BooleanArray>>()?))
    }

    pub(crate) fn ints(
        &self,
        mut compute: impl FnMut(usize) -> Result<Option<i32>>,
    ) -> Result<ArrayRef> {
        let values = (0..self.rows).map(&mut compute);
        Ok(Arc::new(values.collect::<Result<Int32Array>>()?))
    }

    pub(crate) fn byteas(
        &self,
        mut compute: impl FnMut(usize) -> Result<Option<Vec<u8>>>,
    ) -> Result<ArrayRef> {
        let mut builder = BinaryBuilder::new();
        let mut total = 0;
        for row in 0..self.rows {
            let value = compute(row)?;
            total += value.as_ref().map_or(0, Vec::len);
            bounded(total)?;
            builder.append_option(value);
        }
        Ok(Arc::new(builder.finish()))
    }

    /// For each row a list of texts; `None` is NULL.
    pub(crate) fn text_lists(
        &self,
        mut compute: impl FnMut(usize) -> Result<Option<Vec<Option<String>>>>,
    ) -> Result<ArrayRef> {
        let mut builder = ListBuilder::new(StringViewBuilder::new());
        let mut total = 0;
        for row in 0..self.rows {
            let Some(items) = compute(row)? else {
                builder.append_null();
                continue;
            };
            for item in items {
                total += item.as_ref().map_or(0, String::len);
                bounded(total)?;
                builder.values().append_option(item);
            }
            builder.append(true);
        }
        Ok(Arc::new(builder.finish()))
    }
}

/// 53200 beyond what one batch may hold.
pub(crate) fn bounded(bytes: usize) -> Result<(), DataFusionError> {
    if bytes > MOST_BYTES {
        return Err(DataFusionError::ResourcesExhausted(format!(
            "a function would make {bytes} bytes, at most {MOST_BYTES} are allowed"
        )));
    }
    Ok(())
}

pub(crate) struct Texts<'a> {
    array: &'a StringViewArray,
    mask: usize,
}

impl<'a> Texts<'a> {
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        let at = row & self.mask;
        self.array.is_valid(at).then(|| self.array.value(at))
    }

    /// Of a row that is known not to be NULL.
    pub(crate) fn of(&self, row: usize) -> &'a str {
        self.array.value(row & self.mask)
    }
}
