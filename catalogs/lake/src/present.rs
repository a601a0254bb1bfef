//! How a stored column looks to a query.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use rapport_lake::PG_TYPE;

/// The stored schema as queries see it: text as views, which are not copied when they are filtered or compared, and
/// `timestamp without time zone` without the zone that its storage needs. Metadata stays.
pub fn present_schema(stored: &Schema) -> SchemaRef {
    let fields: Vec<Arc<Field>> = stored.fields().iter().map(present_field).collect();
    Arc::new(Schema::new_with_metadata(fields, stored.metadata().clone()))
}

fn present_field(field: &Arc<Field>) -> Arc<Field> {
    let zoneless = field.metadata().get(PG_TYPE).is_some_and(|pg_type| {
        let item = pg_type.trim_end_matches("[]");
        item.starts_with("timestamp") && item.ends_with("without time zone")
    });
    match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => {
            Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View))
        }
        DataType::Timestamp(_, Some(_)) if zoneless => {
            let plain = plain_timestamp(field.data_type());
            Arc::new(field.as_ref().clone().with_data_type(plain))
        }
        DataType::List(item) if zoneless => {
            let item = Field::new(
                item.name(),
                plain_timestamp(item.data_type()),
                item.is_nullable(),
            )
            .with_metadata(item.metadata().clone());
            Arc::new(
                field
                    .as_ref()
                    .clone()
                    .with_data_type(DataType::List(Arc::new(item))),
            )
        }
        // One spelling of UTC, whatever another writer's files say.
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() != "UTC" => {
            let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            Arc::new(field.as_ref().clone().with_data_type(utc))
        }
        _ => field.clone(),
    }
}

fn plain_timestamp(stored: &DataType) -> DataType {
    match stored {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, None),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stored: DataType, pg_type: &str, presented: DataType) {
        let field = Field::new("c", stored, true)
            .with_metadata([(PG_TYPE.to_owned(), pg_type.to_owned())].into());
        let schema = present_schema(&Schema::new(vec![field]));
        assert_eq!(schema.field(0).data_type(), &presented);
        assert_eq!(schema.field(0).metadata()[PG_TYPE], pg_type);
    }

    fn utc() -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    }

    #[test]
    fn text_is_presented_as_views() {
        check(DataType::Utf8, "uuid", DataType::Utf8View);
    }

    #[test]
    fn a_timestamp_without_zone_loses_the_zone_of_its_storage() {
        check(
            utc(),
            "timestamp without time zone",
            DataType::Timestamp(TimeUnit::Microsecond, None),
        );
        check(
            utc(),
            "timestamp(3) without time zone",
            DataType::Timestamp(TimeUnit::Microsecond, None),
        );
    }

    #[test]
    fn an_array_of_timestamps_without_zone_loses_it_too() {
        let of = |item| DataType::List(Arc::new(Field::new_list_field(item, true)));
        let plain = of(DataType::Timestamp(TimeUnit::Microsecond, None));
        check(of(utc()), "timestamp without time zone[]", plain);
        check(of(utc()), "timestamp with time zone[]", of(utc()));
    }

    #[test]
    fn a_timestamp_with_zone_keeps_it() {
        check(utc(), "timestamp with time zone", utc());
    }
}
