//! Things that report by themselves: temperature and battery of what the customer bought.

use super::draw::Part;
use super::event::Event;
use super::life::Life;
use super::words::{Channel, Context, Kind, Touchpoint};

const READ_EVERY: f64 = 45.0;

pub fn add(life: &mut Life) {
    if !life.person.has_device {
        return;
    }
    let draw = &mut life.draw(Part::Devices);
    let (latitude, longitude) = life.person.place(draw);
    let mut battery = 100.0;
    let mut at = life.person.born + 3.0 + draw.between(0.0, READ_EVERY);
    // A device reports on after its owner has gone quiet, until the battery is empty.
    while at < life.end() && at < life.left + 120.0 {
        let summer = -(std::f64::consts::TAU * (at + 270.0) / 365.25).cos();
        let readings = [
            life.world
                .phrases
                .temperature(draw.normal(11.0 + 10.0 * summer, 3.0)),
            life.world.phrases.battery(battery),
        ];
        for properties in readings {
            let mut event = Event::new(
                life.person.number,
                at,
                Channel::Sensor,
                Touchpoint::Device,
                Kind::Reading,
            );
            event.context = Context::Situational;
            event.properties = properties;
            event.lag_s = draw.lognormal(90.0, 1.2).min(86_400.0) as u32;
            (event.latitude, event.longitude) = (latitude, longitude);
            life.events.push(event);
        }
        battery -= draw.between(1.0, 6.0);
        if battery < 5.0 {
            battery = 100.0;
        }
        at += READ_EVERY * draw.between(0.9, 1.1);
    }
}
