use dyad_data::{Limits, TrainTest, breast_cancer, digits};

#[test]
fn digits_are_there() {
    let sample = digits().unwrap();
    let encoded = sample.schema.encode(&sample.table, &Limits::default()).unwrap();
    assert_eq!((encoded.rows(), encoded.width()), (1797, 64));
    let counts: Vec<usize> =
        encoded.labels().unwrap().histogram().iter().map(|(_, count)| *count).collect();
    assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    // The first row begins 0, 0, 5, 13, 9, 1 of 16.
    assert_eq!(encoded.row(0)[..6], [0, 0, 5, 13, 9, 1].map(|x| x << 12));
    let split = TrainTest::by_share(encoded.rows(), 200, 1).unwrap();
    assert_eq!(encoded.select(&split.test).unwrap().rows(), 359);
}

#[test]
fn breast_cancer_is_there() {
    let sample = breast_cancer().unwrap();
    let encoded = sample.schema.encode(&sample.table, &Limits::default()).unwrap();
    assert_eq!((encoded.rows(), encoded.width()), (569, 30));
    assert_eq!(encoded.labels().unwrap().histogram(), [("B", 357), ("M", 212)]);
    assert_eq!(encoded.identifiers().unwrap()[0], "842302");
    assert_eq!(encoded.features()[0].name, "radius_mean");
    assert!(encoded.values().iter().all(|x| (0..=1 << 16).contains(x)));
}
