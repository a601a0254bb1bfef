//! How a fit of a few parameters is told: [`fit_row`](crate::fit_row) declares the columns, [`told`] fills them.

use rapport_stats::fit::Fit;

use crate::answer::Value;

/// The columns of a fit with these parameters: each parameter, `log_likelihood`, each parameter's `…_standard_error`,
/// `customers`, `converged`, `boundary`.
#[macro_export]
macro_rules! fit_row {
    ($($parameter:literal),+) => {
        $crate::Answer::Row(&[
            $(($parameter, $crate::Answer::Number),)+
            ("log_likelihood", $crate::Answer::Number),
            $((concat!($parameter, "_standard_error"), $crate::Answer::Number),)+
            ("customers", $crate::Answer::Number),
            ("converged", $crate::Answer::Flag),
            ("boundary", $crate::Answer::Flag),
        ])
    };
}

pub fn told<const N: usize>(fit: &Fit<N>, customers: f64) -> Value {
    let mut columns: Vec<Value> = fit.parameters.map(Value::from).to_vec();
    columns.push(fit.log_likelihood.into());
    columns.extend(fit.standard_errors.map(Value::from));
    columns.extend([customers.into(), fit.converged.into(), fit.boundary.into()]);
    Value::Row(columns)
}
