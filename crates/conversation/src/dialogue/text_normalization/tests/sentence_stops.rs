//! The dot of an abbreviation that is the dot of a sentence as well.

use super::*;

#[test]
fn a_sentence_that_ends_with_an_abbreviation_keeps_its_stop() {
    for (language, text, spoken) in [
        ("en", "See you at 3 p.m. Please be on time.", "See you at 3 PM. Please be on time."),
        ("en", "It opens at 9:30 a.m. Our team is ready.", "It opens at 9 30 AM. Our team is ready."),
        ("en", "We sell pens, etc. Come by.", "We sell pens, and so on. Come by."),
        ("en", "It was made by Acme Inc. Please call them.", "It was made by Acme Incorporated. Please call them."),
        ("en", "That is 5 ft. The door is wide.", "That is 5 feet. The door is wide."),
        ("en", "It takes 20 min. Would you wait?", "It takes 20 minutes. Would you wait?"),
        ("en", "We close in Dec. The shop opens later.", "We close in December. The shop opens later."),
        ("nl", "Wij verkopen pennen, enz. Komt u langs.", "Wij verkopen pennen, enzovoort. Komt u langs."),
        ("nl", "Dat duurt 20 min. Wilt u wachten?", "Dat duurt 20 minuten. Wilt u wachten?"),
        ("fr", "Cela dure 20 min. Vous pouvez attendre.", "Cela dure 20 minutes. Vous pouvez attendre."),
        ("it", "Vendiamo penne, ecc. Venga pure.", "Vendiamo penne, eccetera. Venga pure."),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn what_goes_on_behind_a_time_or_a_title_has_no_stop() {
    for (language, text, spoken) in [
        ("en", "See you at 3 p.m. Monday.", "See you at 3 PM Monday."),
        ("en", "See you at 3 p.m. EST.", "See you at 3 PM EST."),
        ("en", "See you at 3 p.m. Eastern Time.", "See you at 3 PM Eastern Time."),
        ("en", "See you at 3 p.m. tomorrow.", "See you at 3 PM tomorrow."),
        ("en", "Ask Mr. So about it.", "Ask Mister So about it."),
        ("en", "Ask Dr. Will Smith.", "Ask Doctor Will Smith."),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn the_country_behind_an_amount_tells_which_dollar_is_meant() {
    for (language, text, spoken) in [
        ("en", "That is $40 US.", "That is 40 US dollars."),
        ("en", "That is $40 US, thanks.", "That is 40 US dollars, thanks."),
        ("en", "That is $40 U.S. Please pay now.", "That is 40 US dollars. Please pay now."),
        ("en", "It is $40 U.S. today.", "It is 40 US dollars today."),
        ("en", "It is $12.50 CA and $20 AU.", "It is 12 Canadian dollars 50 and 20 Australian dollars."),
        ("en", "It is $1.5 million US.", "It is 1.5 million US dollars."),
        ("en", "It is $40 IN TOTAL.", "It is 40 dollars IN TOTAL."),
        ("en", "It costs $40. US customers pay less.", "It costs 40 dollars. US customers pay less."),
        ("es", "Son $40 US.", "Son 40 dólares."),
        ("es-MX", "Son $40 US.", "Son 40 dólares."),
        ("es-MX", "Son $40.", "Son 40 pesos."),
        ("nl", "Dat is $ 40 US.", "Dat is 40 dollar."),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn ranges_behind_prepositions_have_no_second_one() {
    for (language, text, spoken) in [
        ("it", "Con vento a 15-20 km/h.", "Con vento a 15, 20 chilometri all'ora."),
        ("it", "Arriva in 3-5 giorni.", "Arriva in 3, 5 giorni."),
        ("it", "Tra il 10-15% dei casi.", "Tra il 10 e il 15 per cento dei casi."),
        ("it", "Tra 10-15 minuti.", "Tra 10 e 15 minuti."),
        ("it", "Servono 3-5 giorni.", "Servono da 3 a 5 giorni."),
        ("es", "Entre el 10-15 % de los casos.", "Entre el 10 y el 15 por ciento de los casos."),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn years_of_two_digits_that_are_far_ahead_are_past() {
    for (language, text, spoken) in [
        ("en-US", "Born 7/4/76.", "Born July 4, 1976."),
        ("en-GB", "Born 4/7/76.", "Born 4 July 1976."),
        ("en-US", "It ends 7/4/31.", "It ends July 4, 2031."),
        ("de", "Geboren am 4.7.76.", "Geboren am 4. Juli 1976."),
        ("nl", "Geboren op 4/7/76.", "Geboren op 4 juli 1976."),
    ] {
        check(language, text, spoken);
    }
}
