//! Small functions of texts that DataFusion has otherwise than PostgreSQL.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray},
    datatypes::{DataType, Int32Type},
};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    refusal::refuse,
    simple::{Call, Kind, Overload, bounded, simple},
};

macro_rules! one {
    ($($takes:ident),* => $gives:ident, $work:ident) => {
        Overload {
            takes: &[$(Kind::$takes),*],
            more: None,
            gives: Kind::$gives,
            work: $work,
        }
    };
}

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const CHR: &[Overload] = &[one!(Int => Text, chr)];
    const ASCII: &[Overload] = &[one!(Text => Int4, ascii)];
    const REPEAT: &[Overload] = &[one!(Text, Int => Text, repeat)];
    const REPLACE: &[Overload] = &[one!(Text, Text, Text => Text, replace)];
    const LPAD: &[Overload] = &[
        one!(Text, Int => Text, lpad),
        one!(Text, Int, Text => Text, lpad),
    ];
    const RPAD: &[Overload] = &[
        one!(Text, Int => Text, rpad),
        one!(Text, Int, Text => Text, rpad),
    ];
    const SPLIT: &[Overload] = &[one!(Text, Text, Int => Text, split_part)];
    const TO_HEX: &[Overload] = &[Overload {
        takes: &[Kind::Any],
        more: None,
        gives: Kind::Text,
        work: to_hex,
    }];
    const TRANSLATE: &[Overload] = &[one!(Text, Text, Text => Text, translate)];
    const INITCAP: &[Overload] = &[one!(Text => Text, initcap)];
    const STARTS: &[Overload] = &[one!(Text, Text => Bool, starts_with)];
    const OVERLAY: &[Overload] = &[
        one!(Text, Text, Int => Text, overlay),
        one!(Text, Text, Int, Int => Text, overlay),
        one!(Bytea, Bytea, Int => Bytea, overlay_bytes),
        one!(Bytea, Bytea, Int, Int => Bytea, overlay_bytes),
    ];
    const LENGTH: &[Overload] = &[one!(Text => Int4, length), one!(Bytea => Int4, octets)];
    const OCTETS: &[Overload] = &[
        one!(Text => Int4, octets_of_text),
        one!(Bytea => Int4, octets),
    ];
    const BITS: &[Overload] = &[one!(Text => Int4, bits_of_text), one!(Bytea => Int4, bits)];
    const STRPOS: &[Overload] = &[
        one!(Text, Text => Int4, strpos),
        one!(Bytea, Bytea => Int4, bytes_pos),
    ];
    const LEFT: &[Overload] = &[one!(Text, Int => Text, left)];
    const RIGHT: &[Overload] = &[one!(Text, Int => Text, right)];
    const REVERSE: &[Overload] = &[one!(Text => Text, reverse)];
    const LOWER: &[Overload] = &[one!(Text => Text, lower)];
    const UPPER: &[Overload] = &[one!(Text => Text, upper)];
    const BTRIM: &[Overload] = &[
        one!(Text => Text, btrim),
        one!(Text, Text => Text, btrim),
        one!(Bytea, Bytea => Bytea, btrim),
    ];
    const LTRIM: &[Overload] = &[
        one!(Text => Text, ltrim),
        one!(Text, Text => Text, ltrim),
        one!(Bytea, Bytea => Bytea, ltrim),
    ];
    const RTRIM: &[Overload] = &[
        one!(Text => Text, rtrim),
        one!(Text, Text => Text, rtrim),
        one!(Bytea, Bytea => Bytea, rtrim),
    ];
    vec![
        simple("chr", "chr(code)", "The character with this code (Unicode).", CHR).udf(),
        simple("ascii", "ascii(text)", "The code of the first character; 0 of an empty text.", ASCII).udf(),
        simple("repeat", "repeat(text, count)", "The text so many times.", REPEAT).unfolded().udf(),
        simple("replace", "replace(text, from, to)", "The text with all occurrences replaced.", REPLACE).udf(),
        simple("lpad", "lpad(text, length [, fill])", "Filled up on the left, or cut on the right.", LPAD).unfolded().udf(),
        simple("rpad", "rpad(text, length [, fill])", "Filled up, or cut, on the right.", RPAD).unfolded().udf(),
        simple(
            "split_part",
            "split_part(text, separator, number)",
            "The n-th part between separators, from the end if n is negative; an empty text if there is none.",
            SPLIT,
        )
        .udf(),
        simple("to_hex", "to_hex(integer)", "Hexadecimal digits, of two's complement if negative.", TO_HEX).udf(),
        simple(
            "translate",
            "translate(text, from, to)",
            "Each character of the second text becomes that in its place in the third, or nothing.",
            TRANSLATE,
        )
        .udf(),
        simple("initcap", "initcap(text)", "Words with their first letter in upper case, the rest in lower.", INITCAP).udf(),
        simple("starts_with", "starts_with(text, beginning)", "Whether the text begins so.", STARTS).udf(),
        simple(
            "overlay",
            "overlay(text, new, from [, count])",
            "The text with a part replaced, which is as long as the new one unless a count is given.",
            OVERLAY,
        )
        .udf(),
        simple("length", "length(text)", "Characters of a text, bytes of a bytea.", LENGTH).udf(),
        simple("character_length", "char_length(text)", "Characters of a text.", LENGTH)
            .also("char_length")
            .udf(),
        simple("octet_length", "octet_length(text)", "Bytes of a text.", OCTETS).udf(),
        simple("bit_length", "bit_length(text)", "Bits of a text.", BITS).udf(),
        simple("strpos", "strpos(text, part)", "Where a part begins, counted from 1; 0 if nowhere.", STRPOS)
            .also("position")
            .udf(),
        simple("left", "left(text, count)", "The first characters, or all but the last ones if negative.", LEFT).udf(),
        simple("right", "right(text, count)", "The last characters, or all but the first ones if negative.", RIGHT).udf(),
        simple("reverse", "reverse(text)", "The characters in reverse.", REVERSE).udf(),
        simple("lower", "lower(text)", "In lower case.", LOWER).udf(),
        simple("upper", "upper(text)", "In upper case.", UPPER).udf(),
        simple("btrim", "btrim(text [, characters])", "Without the characters at both ends.", BTRIM)
            .also("trim")
            .udf(),
        simple("ltrim", "ltrim(text [, characters])", "Without the characters at the beginning.", LTRIM).udf(),
        simple("rtrim", "rtrim(text [, characters])", "Without the characters at the end.", RTRIM).udf(),
    ]
}

fn chr(call: &Call) -> Result<ArrayRef> {
    call.strict_texts(|row, out| {
        let code = call.int(0, row).unwrap_or_default();
        if code == 0 {
            return Err(refuse("54000", "null character not permitted"));
        }
        if code < 0 {
            return Err(refuse("22023", "character number must be positive"));
        }
        let Ok(code) = u32::try_from(code) else {
            return Err(refuse(
                "54000",
                "requested character too large for encoding",
            ));
        };
        match char::from_u32(code) {
            Some(c) => out.push(c),
            None if code > 0x10_ffff => {
                let message = format!("requested character too large for encoding: {code}");
                return Err(refuse("54000", message));
            }
            None => {
                let message = format!("requested character not valid for encoding: {code}");
                return Err(refuse("54000", message));
            }
        }
        Ok(())
    })
}

fn ascii(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.ints(|row| {
        let first = |text: &str| text.chars().next().map_or(0, |c| c as i32);
        Ok(texts.get(row).map(first))
    })
}

fn repeat(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    let mut total = 0_usize;
    call.strict_texts(|row, out| {
        let text = texts.of(row);
        let count =
            usize::try_from(call.int(1, row).unwrap_or_default().max(0)).unwrap_or(usize::MAX);
        total = total.saturating_add(text.len().saturating_mul(count));
        bounded(total)?;
        if !text.is_empty() {
            out.push_str(&text.repeat(count));
        }
        Ok(())
    })
}

fn replace(call: &Call) -> Result<ArrayRef> {
    let (texts, from, to) = (call.text(0), call.text(1), call.text(2));
    call.strict_texts(|row, out| {
        let (text, from, to) = (texts.of(row), from.of(row), to.of(row));
        if from.is_empty() {
            out.push_str(text);
            return Ok(());
        }
        let mut copied = 0;
        for (at, _) in text.match_indices(from) {
            out.push_str(&text[copied..at]);
            out.push_str(to);
            bounded(out.len())?;
            copied = at + from.len();
        }
        out.push_str(&text[copied..]);
        Ok(())
    })
}

fn lpad(call: &Call) -> Result<ArrayRef> {
    pad(call, true)
}

fn rpad(call: &Call) -> Result<ArrayRef> {
    pad(call, false)
}

fn pad(call: &Call, on_the_left: bool) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        let text = texts.of(row);
        let fill = if call.count() > 2 {
            call.text(2).of(row)
        } else {
            " "
        };
        let wanted = usize::try_from(call.int(1, row).unwrap_or_default().max(0)).unwrap_or(0);
        let missing = if fill.is_empty() {
            0
        } else {
            wanted.saturating_sub(text.chars().count())
        };
        bounded(missing)?;
        if !on_the_left {
            out.extend(text.chars().take(wanted));
        }
        out.extend(fill.chars().cycle().take(missing));
        if on_the_left {
            out.extend(text.chars().take(wanted));
        }
        Ok(())
    })
}

fn split_part(call: &Call) -> Result<ArrayRef> {
    let (texts, separators) = (call.text(0), call.text(1));
    call.strict_texts(|row, out| {
        let (text, separator) = (texts.of(row), separators.of(row));
        let number = call.int(2, row).unwrap_or_default();
        if number == 0 {
            return Err(refuse("22023", "field position must not be zero"));
        }
        let skipped = usize::try_from(number.unsigned_abs() - 1).unwrap_or(usize::MAX);
        let part = if separator.is_empty() {
            (skipped == 0).then_some(text)
        } else if number > 0 {
            text.split(separator).nth(skipped)
        } else {
            // From the left, so that parts are those that a positive number counts.
            let parts: Vec<&str> = text.split(separator).collect();
            let index = parts.len().checked_sub(skipped.saturating_add(1));
            index.map(|index| parts[index])
        };
        out.push_str(part.unwrap_or(""));
        Ok(())
    })
}

fn to_hex(call: &Call) -> Result<ArrayRef> {
    let given = call.array(0).data_type().clone();
    let is_small = matches!(given, DataType::Int16 | DataType::Int32);
    if !given.is_integer() && !given.is_null() {
        let message = "function to_hex does not exist for this type";
        return Err(refuse("42883", message));
    }
    let wanted = if is_small {
        DataType::Int32
    } else {
        DataType::Int64
    };
    let numbers = arrow::compute::cast(call.array(0), &wanted)?;
    call.strict_texts(|row, out| {
        let at = call.at(0, row);
        if is_small {
            let number = numbers.as_primitive::<Int32Type>().value(at);
            out.push_str(&format!("{number:x}"));
        } else {
            let number = numbers
                .as_primitive::<arrow::datatypes::Int64Type>()
                .value(at);
            out.push_str(&format!("{number:x}"));
        }
        Ok(())
    })
}

fn translate(call: &Call) -> Result<ArrayRef> {
    let (texts, from, to) = (call.text(0), call.text(1), call.text(2));
    call.strict_texts(|row, out| {
        let from: Vec<char> = from.of(row).chars().collect();
        let to: Vec<char> = to.of(row).chars().collect();
        for c in texts.of(row).chars() {
            match from.iter().position(|known| *known == c) {
                None => out.push(c),
                Some(index) => out.extend(to.get(index)),
            }
        }
        Ok(())
    })
}

fn initcap(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        let mut in_word = false;
        for c in texts.of(row).chars() {
            out.push(if in_word { small(c) } else { capital(c) });
            in_word = c.is_alphanumeric();
        }
        Ok(())
    })
}

/// One character for one, as PostgreSQL's do it with the C library's.
fn capital(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}

fn small(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => c,
    }
}

fn lower(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        let text = texts.of(row);
        if text.is_ascii() {
            out.push_str(text);
            out.make_ascii_lowercase();
        } else {
            out.extend(text.chars().map(small));
        }
        Ok(())
    })
}

fn upper(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        let text = texts.of(row);
        if text.is_ascii() {
            out.push_str(text);
            out.make_ascii_uppercase();
        } else {
            out.extend(text.chars().map(capital));
        }
        Ok(())
    })
}

fn starts_with(call: &Call) -> Result<ArrayRef> {
    let (texts, beginnings) = (call.text(0), call.text(1));
    call.bools(|row| {
        let both = texts.get(row).zip(beginnings.get(row));
        Ok(both.map(|(text, beginning)| text.starts_with(beginning)))
    })
}

/// How much stays of the beginning, and where the end that stays begins.
fn overlaid(call: &Call, row: usize, length_of_new: usize) -> Result<(usize, usize)> {
    let from = call.int(2, row).unwrap_or_default();
    let count = if call.count() > 3 {
        call.int(3, row).unwrap_or_default()
    } else {
        i64::try_from(length_of_new).unwrap_or(i64::MAX)
    };
    if from <= 0 {
        return Err(refuse("22011", "negative substring length not allowed"));
    }
    let before = usize::try_from(from - 1).unwrap_or(usize::MAX);
    let after = usize::try_from((from - 1).saturating_add(count).max(0)).unwrap_or(usize::MAX);
    Ok((before, after))
}

fn overlay_bytes(call: &Call) -> Result<ArrayRef> {
    call.byteas(|row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let both = call.bytes(0, row).zip(call.bytes(1, row));
        let (bytes, new) = both.unwrap_or_default();
        let (before, after) = overlaid(call, row, new.len())?;
        let begin = &bytes[..before.min(bytes.len())];
        let end = &bytes[after.min(bytes.len())..];
        Ok(Some([begin, new, end].concat()))
    })
}

fn overlay(call: &Call) -> Result<ArrayRef> {
    let (texts, news) = (call.text(0), call.text(1));
    call.strict_texts(|row, out| {
        let (text, new) = (texts.of(row), news.of(row));
        let (before, after) = overlaid(call, row, new.chars().count())?;
        out.extend(text.chars().take(before));
        out.push_str(new);
        out.extend(text.chars().skip(after));
        Ok(())
    })
}

fn length(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.ints(|row| {
        let length = texts.get(row).map(|text| text.chars().count());
        Ok(length.map(|length| i32::try_from(length).unwrap_or(i32::MAX)))
    })
}

fn octets(call: &Call) -> Result<ArrayRef> {
    call.ints(|row| {
        let length = call.bytes(0, row).map(<[u8]>::len);
        Ok(length.map(|length| i32::try_from(length).unwrap_or(i32::MAX)))
    })
}

fn octets_of_text(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.ints(|row| {
        let length = texts.get(row).map(str::len);
        Ok(length.map(|length| i32::try_from(length).unwrap_or(i32::MAX)))
    })
}

fn bits(call: &Call) -> Result<ArrayRef> {
    call.ints(|row| {
        let length = call.bytes(0, row).map(|bytes| bytes.len() * 8);
        Ok(length.map(|length| i32::try_from(length).unwrap_or(i32::MAX)))
    })
}

fn bits_of_text(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.ints(|row| {
        let length = texts.get(row).map(|text| text.len() * 8);
        Ok(length.map(|length| i32::try_from(length).unwrap_or(i32::MAX)))
    })
}

fn strpos(call: &Call) -> Result<ArrayRef> {
    let (texts, parts) = (call.text(0), call.text(1));
    call.ints(|row| {
        let Some((text, part)) = texts.get(row).zip(parts.get(row)) else {
            return Ok(None);
        };
        let place = text
            .find(part)
            .map_or(0, |at| text[..at].chars().count() + 1);
        Ok(Some(i32::try_from(place).unwrap_or(i32::MAX)))
    })
}

fn bytes_pos(call: &Call) -> Result<ArrayRef> {
    call.ints(|row| {
        let Some((bytes, part)) = call.bytes(0, row).zip(call.bytes(1, row)) else {
            return Ok(None);
        };
        let place = if part.is_empty() {
            1
        } else {
            let mut windows = bytes.windows(part.len());
            windows
                .position(|window| window == part)
                .map_or(0, |at| at + 1)
        };
        Ok(Some(i32::try_from(place).unwrap_or(i32::MAX)))
    })
}

/// How many characters a count that may be negative keeps of so many.
fn kept(count: i64, length: usize) -> usize {
    match usize::try_from(count) {
        Ok(count) => count.min(length),
        Err(_) => {
            length.saturating_sub(usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX))
        }
    }
}

fn left(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        let text = texts.of(row);
        let count = kept(call.int(1, row).unwrap_or_default(), text.chars().count());
        out.extend(text.chars().take(count));
        Ok(())
    })
}

fn right(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        let text = texts.of(row);
        let length = text.chars().count();
        let count = kept(call.int(1, row).unwrap_or_default(), length);
        out.extend(text.chars().skip(length - count));
        Ok(())
    })
}

fn reverse(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        out.extend(texts.of(row).chars().rev());
        Ok(())
    })
}

fn btrim(call: &Call) -> Result<ArrayRef> {
    trim(call, true, true)
}

fn ltrim(call: &Call) -> Result<ArrayRef> {
    trim(call, true, false)
}

fn rtrim(call: &Call) -> Result<ArrayRef> {
    trim(call, false, true)
}

fn trim(call: &Call, at_the_beginning: bool, at_the_end: bool) -> Result<ArrayRef> {
    if call.array(0).data_type() == &DataType::Binary {
        return call.byteas(|row| {
            let both = call.bytes(0, row).zip(call.bytes(1, row));
            Ok(both.map(|(bytes, dropped)| {
                let is_kept = |byte: &u8| !dropped.contains(byte);
                let begin = bytes.iter().position(is_kept).unwrap_or(bytes.len());
                let end = bytes.iter().rposition(is_kept).map_or(0, |at| at + 1);
                let begin = if at_the_beginning { begin } else { 0 };
                let end = if at_the_end { end } else { bytes.len() };
                bytes[begin..end.max(begin)].to_vec()
            }))
        });
    }
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        let dropped = if call.count() > 1 {
            call.text(1).of(row)
        } else {
            " "
        };
        let mut text = texts.of(row);
        if at_the_beginning {
            text = text.trim_start_matches(|c| dropped.contains(c));
        }
        if at_the_end {
            text = text.trim_end_matches(|c| dropped.contains(c));
        }
        out.push_str(text);
        Ok(())
    })
}
