//! Keys of the phone, fractions, short numbers, and what stands within a sentence.

use super::*;

#[test]
fn four_numbers_with_dots_are_an_address_unless_they_are_thousands() {
    for (language, text, spoken) in [
        ("en", "Ping 10.0.0.1:8080 now.", "Ping 10 dot 0 dot 0 dot 1 now."),
        ("nl", "Het IP-adres is 192.168.100.200.", "Het IP-adres is 192 punt 168 punt 100 punt 200."),
        ("nl", "Het zijn 192.168.100.200 korrels.", "Het zijn 192168100200 korrels."),
        ("en", "Version 1.2.3.400 and 1.2.3.4.5 are out.", "Version 1.2.3.400 and 1.2.3.4.5 are out."),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn the_star_and_hash_keys_are_no_markup() {
    for (language, text, spoken) in [
        ("en", "Press *1 for sales or **2** for support.", "Press star 1 for sales or 2 for support."),
        ("en", "Press \\*5, `*6` or **\\*7**.", "Press star 5, star 6 or star 7."),
        ("en", "Dial *21*0612345678# now.", "Dial star 2 1 star 0 6 1, 2 3 4, 5 6 7 8 pound now."),
        ("en", "You are #1, 5*3 is 15.", "You are number 1, 5 times 3 is 15."),
        ("en", "* 1 apple\n* **2 pears**", "1 apple. 2 pears."),
        ("nl", "Toets *1 of *21#.", "Toets sterretje 1 of sterretje 2 1 hekje."),
        ("de", "Wählen Sie *1 oder #31#.", "Wählen Sie Stern 1 oder Raute 3 1 Raute."),
        ("fr", "Tapez *1 ou *21#.", "Tapez étoile 1 ou étoile 2 1 dièse."),
        ("es", "Pulse *1 o *21#.", "Pulse asterisco 1 o asterisco 2 1 almohadilla."),
        ("it", "Prema *1 o *21#.", "Prema asterisco 1 o asterisco 2 1 cancelletto."),
        ("pt", "Tecle *1 ou *21#.", "Tecle asterisco 1 ou asterisco 2 1 jogo da velha."),
        ("pl", "Zadzwoń *21# lub *teraz*.", "Zadzwoń *21# lub teraz."),
    ] {
        check(language, text, spoken);
    }
    let plain = SpeechStyle::new("en", false).plain().normalize("**Dial** *67, then *wait*.");
    assert_eq!((plain.shown.as_str(), plain.spoken.as_str()), ("Dial *67, then wait.", "Dial *67, then wait."));
}

#[test]
fn fractions_are_no_dates_pages_or_ratings() {
    for (language, text, spoken) in [
        (
            "en",
            "½ price, 1/2 of it, 1/2 hr, 2 1/2 lbs, 2½ hours",
            "half price, half of it, half an hour, 2 and a half pounds, 2 and a half hours",
        ),
        ("en", "$1/2, $2 3/4 or 1/2 €", "half a dollar, 2 and 3 quarters dollars or half an euro"),
        (
            "en",
            "24/7, 9/11, 50/50, 9/10, page 1/2, Version 1/2, and/or",
            "24 7, 9/11, 50/50, 9/10, page 1/2, Version 1/2, and/or",
        ),
        ("en-US", "on 1/2, 1/2/2026, 2025/26", "on January 2, January 2, 2026, 2025/26"),
        ("nl", "een 1/2 uur, 1/2 liter, 2 1/4 liter", "een half uur, een halve liter, 2,25 liter"),
        ("de", "einen 1/2 Liter, 1/2 Stunde, 1/2 Pfund", "einen halben Liter, eine halbe Stunde, ein halbes Pfund"),
        (
            "fr",
            "1/2 heure, 1 1/2 litre, 3/4 h, le 1/4",
            "une demi-heure, 1 litre et demi, 3 quarts d'heure, le 1er avril",
        ),
        ("es", "1/2 hora, 1/2 kilo, 1/2 de todo", "media hora, medio kilo, la mitad de todo"),
        ("it", "1/2 litro, 2/3, 2 1/2 kg", "mezzo litro, 2 terzi, 2 chili e mezzo"),
        ("pt", "1/2 hora, 2/3, 2 1/2 kg", "meia hora, 2 terços, 2 quilos e meio"),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn short_numbers_are_dialled_only_behind_a_word_of_calling() {
    for (language, text, spoken) in [
        ("en", "Call 911, 311 or 988.", "Call 9 1 1, 3 1 1 or 9 8 8."),
        ("en", "Call 250 people 911 times in room 911.", "Call 250 people 911 times in room 911."),
        ("nl", "Bel 112, in 112 huizen.", "Bel 1 1 2, in 112 huizen."),
        ("de", "Rufen Sie 112 oder die 116117 an.", "Rufen Sie 1 1 2 oder die 1 1 6, 1 1 7 an."),
        ("fr", "Appelez le 112 ou le 0 800 123 456.", "Appelez le 112 ou le 0, 8 0 0, 1 2 3, 4 5 6."),
        ("fr", "Le 0 805 12 34 56, le 118 218 pour appeler.", "Le 0, 8 0 5, 1 2, 3 4, 5 6, le 118218 pour appeler."),
        ("es", "Llame al 112 o al 061.", "Llame al 1 1 2 o al 0 6 1."),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn days_months_and_units_are_written_out_within_a_sentence() {
    for (language, text, spoken) in [
        ("en", "On Mon. and Tues. or in Jan. or Feb.", "On Monday and Tuesday or in January or February."),
        ("en", "We sat. We sat in the sun.", "We sat. We sat in the sun."),
        ("nl", "Tot zo. Op zo. en ma. dicht, tot vr.", "Tot zo. Op zondag en maandag dicht, tot vrijdag."),
        ("it", "Il mar. 5 giugno, il 5 mar. e il gio.", "Il martedì 5 giugno, il 5 marzo e il giovedì."),
        (
            "en",
            "30x40x10 cm, 2m x 3m, 3 x 4, 1.5 GB/s, 5 ft 6 in",
            "30 by 40 by 10 centimeters, 2 meters by 3 meters, 3 times 4, 1.5 gigabytes per second, 5 feet 6 inches",
        ),
        ("de", "5 l/100 km, 2,5 Tsd. Stück, 3 Mio.", "5 Liter pro 100 Kilometer, 2,5 tausend Stück, 3 Millionen."),
        ("nl", "De omzet was € 3,2 mld.", "De omzet was 3,2 miljard euro."),
        ("de", "Geb. am 5.3., geb. Kern, im Geb. nebenan", "Geboren am 5. März, geboren Kern, im Gebäude nebenan"),
        ("de", "Um 14h, 9 Uhr oder 14h, 3h lang", "Um 14 Uhr, 9 Uhr oder 14 Uhr, 3 Stunden lang"),
    ] {
        check(language, text, spoken);
    }
}
