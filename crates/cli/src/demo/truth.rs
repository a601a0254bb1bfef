//! What is true of the synthetic history, so that a model can be checked against it. Written to `demo.json`.

use serde::Serialize;

/// Two halves of the customers. In the `baseline` cohort purchases follow BG/NBD and nothing else moves them; in
/// the `responsive` one campaigns add purchases, bad contacts make people leave, and goods are returned.
#[derive(Clone, Debug, Serialize)]
pub struct Truth {
    pub cohorts: Cohorts,
    pub purchases: BgNbd,
    pub spend: GammaGamma,
    pub bad_contacts: BadContacts,
    pub campaigns: CampaignRules,
}

#[derive(Clone, Debug, Serialize)]
pub struct Cohorts {
    pub baseline: &'static str,
    pub responsive: &'static str,
    pub baseline_share: f64,
}

/// Time in weeks from a customer's first purchase; a purchase is a day, in UTC, with at least one order.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BgNbd {
    pub r: f64,
    pub alpha_weeks: f64,
    pub a: f64,
    pub b: f64,
}

/// Spend per purchase, in EUR.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GammaGamma {
    pub p: f64,
    pub q: f64,
    pub v: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct BadContacts {
    pub definition: &'static str,
    /// Chance that a customer of the responsive cohort leaves at the first, second, third (and each later) one.
    pub leaving: [f64; 3],
}

#[derive(Clone, Debug, Serialize)]
pub struct CampaignRules {
    pub definition: &'static str,
    pub control_share: f64,
    pub window_days: f64,
    /// A treated customer's uplift is the campaign's, times this if the channel is the one they declared …
    pub if_preferred_channel: f64,
    /// … or this if they declared another, or none.
    pub otherwise: f64,
}

impl Default for Truth {
    fn default() -> Self {
        Self {
            cohorts: Cohorts {
                baseline: "purchases follow BG/NBD and gamma-gamma exactly: no campaigns, no returns, \
                           and bad contacts do not make anyone leave",
                responsive: "the same, and campaigns add purchases, bad contacts make people leave, \
                             some goods are returned",
                baseline_share: 0.5,
            },
            purchases: BgNbd {
                r: 0.55,
                alpha_weeks: 7.0,
                a: 0.75,
                b: 3.0,
            },
            spend: GammaGamma {
                p: 5.0,
                q: 4.0,
                v: 24.0,
            },
            bad_contacts: BadContacts {
                definition: "interaction_type = 'contact' and outcome = 'unresolved' and sentiment <= -0.5",
                leaving: [0.10, 0.25, 0.40],
            },
            campaigns: CampaignRules {
                definition: "one row per member: interaction_type = 'assignment', outcome 'treated' or \
                             'control'; a control is not contacted by that campaign",
                control_share: 0.2,
                window_days: 14.0,
                if_preferred_channel: 1.5,
                otherwise: 0.8,
            },
        }
    }
}

impl GammaGamma {
    #[cfg(test)]
    pub fn mean(self) -> f64 {
        self.p * self.v / (self.q - 1.0)
    }
}
