//! D and the survey measures: segments, the voice of the customer.

use std::collections::BTreeMap;

use rapport_stats::cluster_quality::{adjusted_rand_index, best, silhouette, try_clusters};
use rapport_stats::gaussian_mixture;
use rapport_stats::kmeans;
use rapport_stats::points::Points;
use rapport_stats::voice::Answers;

use super::{go_on, near, rows};

/// Fisher's irises, 50 of each of three species: four lengths in tenths of a centimetre, two digits each.
const IRIS: [&str; 15] = [
    "51351402 49301402 47321302 46311502 50361402 54391704 46341403 50341502 44291402 49311501",
    "54371502 48341602 48301401 43301101 58401202 57441504 54391304 51351403 57381703 51381503",
    "54341702 51371504 46361002 51331705 48341902 50301602 50341604 52351502 52341402 47321602",
    "48311602 54341504 52411501 55421402 49311502 50321202 55351302 49361401 44301302 51341502",
    "50351303 45231303 44321302 50351606 51381904 48301403 51381602 46321402 53371502 50331402",
    "70324714 64324515 69314915 55234013 65284615 57284513 63334716 49243310 66294613 52273914",
    "50203510 59304215 60224010 61294714 56293613 67314414 56304515 58274110 62224515 56253911",
    "59324818 61284013 63254915 61284712 64294313 66304414 68284814 67305017 60294515 57263510",
    "55243811 55243710 58273912 60275116 54304515 60344516 67314715 63234413 56304113 55254013",
    "55264412 61304614 58264012 50233310 56274213 57304212 57294213 62294313 51253011 57284113",
    "63336025 58275119 71305921 63295618 65305822 76306621 49254517 73296318 67255818 72366125",
    "65325120 64275319 68305521 57255020 58285124 64325323 65305518 77386722 77266923 60225015",
    "69325723 56284920 77286720 63274918 67335721 72326018 62284818 61304918 64285621 72305816",
    "74286119 79386420 64285622 63285115 61265614 77306123 63345624 64315518 60304818 69315421",
    "67315624 69315123 58275119 68325923 67335725 67305223 63255019 65305220 62345423 59305118",
];

fn iris() -> Vec<f64> {
    let plants = IRIS.iter().flat_map(|line| line.split(' '));
    let lengths = plants.flat_map(|plant| [&plant[..2], &plant[2..4], &plant[4..6], &plant[6..]]);
    lengths
        .map(|tenths| tenths.parse::<f64>().expect("digits") / 10.0)
        .collect()
}

#[test]
fn d1_iris_k_means() {
    let iris = iris();
    let points = Points::new(&iris, 4).expect("rows");
    let tried = try_clusters(&points, 2..=5, &kmeans::Settings::new(0), 1_000, &go_on);
    let tried = tried.expect("enough rows");
    let inertias: Vec<f64> = tried.iter().map(|tried| tried.inertia).collect();
    near(
        &inertias,
        &[152.347952, 78.851441, 57.228473, 46.446182],
        1e-5,
    );
    assert_eq!(best(&tried), Some(2));
    let found = kmeans::fit(&points, &kmeans::Settings::new(3), &go_on).expect("enough rows");
    assert_eq!(found.weights, [62.0, 50.0, 38.0]);
    let species: Vec<u32> = (0..150).map(|plant| plant / 50).collect();
    let index = adjusted_rand_index(&found.labels, &species).expect("rows");
    let width = silhouette(&points, &found.labels, 1_000, 0, &go_on).expect("three clusters");
    near(&[index, width.mean], &[0.730238, 0.552819], 1e-5);
    assert!(!width.is_sample);
}

#[test]
fn d2_iris_gaussian_mixture() {
    let iris = iris();
    let points = Points::new(&iris, 4).expect("rows");
    let settings = gaussian_mixture::Settings::new(3);
    let found = gaussian_mixture::fit(&points, &settings, &go_on).expect("enough rows");
    assert!(found.converged);
    near(
        &[found.log_likelihood, found.bic],
        &[-180.1855, 580.8389],
        1e-3,
    );
    let species: Vec<f64> = found.weights.iter().rev().copied().collect();
    near(&species, &[0.2992, 0.3333, 0.3675], 1e-3);
}

#[test]
fn csat_of_support_tickets() {
    let Some(rows) = rows("support_tickets.csv") else {
        return;
    };
    let none = Answers::new(1, 5).expect("a scale");
    let mut channels = BTreeMap::<&str, (u32, Answers)>::new();
    for row in &rows {
        let (n, answers) = channels.entry(&row[2]).or_insert((0, none.clone()));
        *n += 1;
        if let Ok(score) = row[11].parse::<f64>() {
            answers.add(score as i32, 1.0).expect("on the scale");
        }
    }
    let tickets: Vec<u32> = channels.values().map(|(n, _)| *n).collect();
    assert_eq!(
        tickets,
        [1_796, 1_554, 926, 223, 501],
        "{:?}",
        channels.keys()
    );
    let mut all = none;
    for (_, answers) in channels.values() {
        all.merge(answers).expect("the same scale");
    }
    assert_eq!((rows.len(), all.n()), (5_000, 3_724));
    let mean = all.ces(0.95).expect("answers").mean;
    near(&[mean], &[2.96912], 5e-6);
    let csat = all.csat(0.95).expect("answers");
    near(&[csat.share], &[0.390440], 5e-7);
    assert!(csat.low < csat.share && csat.share < csat.high);
}
