//! Short forms of every kind: hours and spans, short phone numbers, codes, units, abbreviations.

use super::*;

#[test]
fn short_phone_numbers_are_whole() {
    for (language, text, spoken) in [
        ("de", "Sonst rufen Sie die 116 117 an.", "Sonst rufen Sie die 1 1 6, 1 1 7 an."),
        ("de", "Wählen Sie nachts die 116 117.", "Wählen Sie nachts die 1 1 6, 1 1 7."),
        ("de", "Die Nummer gegen Kummer ist 116 111.", "Die Nummer gegen Kummer ist 1 1 6, 1 1 1."),
        ("de", "Rufen Sie die 116 117 an, nicht die 112.", "Rufen Sie die 1 1 6, 1 1 7 an, nicht die 1 1 2."),
        ("nl", "Bel 14 020 of kijk op amsterdam.nl.", "Bel 1 4, 0 2 0 of kijk op amsterdam punt nl."),
        ("nl", "Bel dan 14 030.", "Bel dan 1 4, 0 3 0."),
        ("en", "Just call 13 14 15.", "Just call 1 3, 1 4, 1 5."),
        ("en", "Call 13 14 people.", "Call 13 14 people."),
        ("de", "Rufen Sie uns an, 250 Leute warten.", "Rufen Sie uns an, 250 Leute warten."),
        ("fr", "Appelez le 116 117.", "Appelez le 1 1 6, 1 1 7."),
        ("de", "Bis zu 116 117 Leute kamen.", "Bis zu 116 117 Leute kamen."),
        ("de", "Das macht 116 117 Euro.", "Das macht 116117 Euro."),
        ("de", "Die Kd.-Nr. lautet 77 41 20.", "Die Kundennummer lautet 7 7, 4 1, 2 0."),
        ("de", "Ihre Auftragsnummer ist 44 120.", "Ihre Auftragsnummer ist 4 4, 1 2 0."),
        ("nl", "Uw klantnummer is 77 41 20.", "Uw klantnummer is 7 7, 4 1, 2 0."),
        ("en", "Your order number is 48 213.", "Your order number is 4 8, 2 1 3."),
        ("en", "Your order 12 30 boxes.", "Your order 12 30 boxes."),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn hours_of_days_are_times() {
    for (language, text, spoken) in [
        (
            "en",
            "We're open Mon–Fri 9–5:30 and Sat 10–2.",
            "We're open Monday to Friday 9 to 5 30 and Saturday 10 to 2.",
        ),
        ("en", "Hours are Mon-Thu 8-4:30, Fri 8-12.", "Hours are Monday to Thursday 8 to 4 30, Friday 8 to 12."),
        ("en", "The shop is open 9:30-5 on Sun.", "The shop is open 9 30 to 5 on Sunday."),
        ("en", "Open Sat 9-1 and Sun 11-4.", "Open Saturday 9 to 1 and Sunday 11 to 4."),
        ("en", "We meet Wed 10:30.", "We meet Wednesday 10 30."),
        ("en", "He sat 10 to 2 minutes.", "He sat 10 to 2 minutes."),
        ("de", "Sa 10–14 Uhr geöffnet.", "Samstag 10 bis 14 Uhr geöffnet."),
        ("de", "Mo 9–17:30.", "Montag 9 bis 17 Uhr 30."),
        (
            "nl",
            "Open ma-vr 9.00-17.30 uur, za 10-16.",
            "Open maandag tot vrijdag 9 uur tot 17 uur 30, zaterdag 10 tot 16.",
        ),
        ("fr", "Ouvert sam 10h-14h.", "Ouvert samedi 10 heures à 14 heures."),
        ("it", "Aperto sab 9-13.", "Aperto sabato da 9 a 13."),
        (
            "nl",
            "Van 9.00 tot 12.30 en van 13.30 tot 17.00 uur.",
            "Van 9 uur tot 12 uur 30 en van 13 uur 30 tot 17 uur.",
        ),
        ("nl", "Ik do 10-16 dagen niets.", "Ik do 10 tot 16 dagen niets."),
        ("de", "So 10 Tage bleiben wir.", "So 10 Tage bleiben wir."),
        ("nl", "Open za 10.00-16.00 uur.", "Open zaterdag 10 uur tot 16 uur."),
        ("nl", "Open van 8.30 tot 17.00 uur.", "Open van 8 uur 30 tot 17 uur."),
        (
            "nl",
            "De winkel is di. van 10.15 tot 17.45 uur open.",
            "De winkel is dinsdag van 10 uur 15 tot 17 uur 45 open.",
        ),
        ("nl", "Van 8.30 t/m 12 uur.", "Van 8 uur 30 tot en met 12 uur."),
        ("nl", "Van 8.30 tot 12.00 en 13.00 tot 17.00 uur.", "Van 8 uur 30 tot 12 uur en 13 uur tot 17 uur."),
        ("nl", "Een cijfer van 8.30 tot 9.10 is goed.", "Een cijfer van 8.30 tot 9.10 is goed."),
        ("de", "Von 8.30 bis 17.00 Uhr.", "Von 8 Uhr 30 bis 17 Uhr."),
        ("fr", "Ouvert de 9:30 à 18:00.", "Ouvert de 9 heures 30 à 18 heures."),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn spans_of_days_have_both_months() {
    for (language, text, spoken) in [
        ("en", "The trial runs Jan. 1–Mar. 31, 2027.", "The trial runs January 1 to March 31, 2027."),
        ("en", "It runs January 1 – March 31.", "It runs January 1 to March 31."),
        ("en", "It runs Dec. 28, 2026–Jan. 3, 2027.", "It runs December 28, 2026 to January 3, 2027."),
        ("nl", "Geldig 1 jan.–31 mrt. 2027.", "Geldig 1 januari tot 31 maart 2027."),
        ("de", "Gültig 1. Jan. – 31. März.", "Gültig 1. Januar bis 31. März."),
        ("fr", "Du 1er janv. – 31 mars.", "Du 1er janvier au 31 mars."),
        ("it", "Dal 1 gen. – 31 mar. 2027.", "Dal 1 gennaio al 31 marzo 2027."),
        ("pt-BR", "Subiu em relação a set. de 2025.", "Subiu em relação a setembro de 2025."),
        ("pt-BR", "Subiu em relação a out. do ano passado.", "Subiu em relação a outubro do ano passado."),
        ("pt-BR", "Começa em ago. e termina em out.", "Começa em agosto e termina em outubro."),
        ("pt-PT", "A reunião é na 3.ª-feira.", "A reunião é na terça-feira."),
        ("pt-PT", "Aberto de 2.ª a 6.ª-feira.", "Aberto de segunda a sexta-feira."),
        ("pt-BR", "Às 3ª e 5ª-feiras, das 9h às 12h.", "Às terça e quintas-feiras, das 9 horas às 12 horas."),
        ("pt-PT", "É a 3.ª vez, no 2.º andar.", "É a terceira vez, no segundo andar."),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn codes_are_asked_for_across_inserted_words() {
    for (language, text, spoken) in [
        ("en", "Have your ZIP code, e.g. 97205, ready.", "Have your ZIP code, for example 9 7 2 0 5, ready."),
        ("en", "Have your ZIP code, for example 97205, ready.", "Have your ZIP code, for example 9 7 2 0 5, ready."),
        ("en", "Is your order number, i.e. 48213, there?", "Is your order number, that is 4 8 2 1 3, there?"),
        ("de", "Ihre PLZ, z. B. 60313, bitte.", "Ihre PLZ, zum Beispiel 6 0 3 1 3, bitte."),
        ("nl", "Uw klantnummer, bijv. 48213, graag.", "Uw klantnummer, bijvoorbeeld 4 8 2 1 3, graag."),
        ("fr", "Votre numéro de client, par ex. 48213.", "Votre numéro de client, par exemple 4 8 2 1 3."),
        ("es", "Su número de pedido, p. ej. 48213.", "Su número de pedido, por ejemplo 4 8 2 1 3."),
        ("it", "Il codice, ad esempio 48213.", "Il codice, ad esempio 4 8 2 1 3."),
        ("en", "It's #INV-20394.", "It's number I N V, 2 0 3 9 4."),
        ("en", "The case is #CS-48213.", "The case is number C S, 4 8 2 1 3."),
        ("de", "Die Nummer #CS-48213.", "Die Nummer C S, 4 8 2 1 3."),
        ("en", "We talk about #COVID19 and #G20.", "We talk about #COVID19 and #G20."),
        ("nl", "Bezorgd op nr. 24-B.", "Bezorgd op nummer 24-B."),
        ("en", "Mail j.o'neil@acme-health.org.", "Mail j dot o'neil at acme dash health dot org."),
        ("en", "Mail o’neil@acme.org.", "Mail o’neil at acme dot org."),
        ("fr", "Écrivez à l'info@acme.fr.", "Écrivez à l'info arobase acme point fr."),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn units_and_abbreviations_of_bills_are_words() {
    for (language, text, spoken) in [
        ("de", "Von 28,9 ct/kWh auf 31 ct/kWh.", "Von 28,9 Cent pro Kilowattstunde auf 31 Cent pro Kilowattstunde."),
        ("de", "Ein Anruf kostet 9 ct/min.", "Ein Anruf kostet 9 Cent pro Minute."),
        ("nl", "Stroom kost 28,9 ct/kWh.", "Stroom kost 28,9 cent per kilowattuur."),
        ("fr", "Soit 15 cts/kWh.", "Soit 15 centimes par kilowattheure."),
        ("en", "It has a 5-yr. warranty.", "It has a 5-year warranty."),
        ("en", "A 10-lb bag and a 6-mo. plan.", "A 10-pound bag and a 6-month plan."),
        ("en", "A 24-hr line.", "A 24-hour line."),
        ("en", "Apollo 13-B, covid-19.", "Apollo 13-B, covid-19."),
        ("nl", "Dat is € 9,99 per mnd. of € 99 per jr.", "Dat is 9 euro 99 per maand of 99 euro per jaar."),
        ("nl", "Max. 3 art. per klant, zie art. 5.", "Maximaal 3 artikelen per klant, zie artikel 5."),
        ("fr", "Il reste 3 art. dans votre panier.", "Il reste 3 articles dans votre panier."),
        ("fr", "Voir art. 5.", "Voir article 5."),
        ("de", "Von Gl. 4 ab.", "Von Gleis 4 ab."),
        ("es", "En 5-7 días háb. en total.", "En 5 a 7 días hábiles en total."),
        ("it", "IVA al 22% incl.", "IVA al 22 per cento inclusa."),
        ("it", "Il pranzo è incl. nel prezzo.", "Il pranzo è incluso nel prezzo."),
        ("it", "Il n. pratica è 445120.", "Il numero pratica è 4 4 5, 1 2 0."),
        ("it", "Il n. cliente è 99120.", "Il numero cliente è 9 9 1 2 0."),
        ("it", "Parte dal bin. 4 alle 9.", "Parte dal binario 4 alle 9."),
        ("pt-PT", "São 10 €, c/ IVA a 23 %.", "São 10 euros, com IVA a 23 por cento."),
        ("es", "Está en la c/ Mayor, c/ IVA.", "Está en la calle Mayor, con IVA."),
    ] {
        check(language, text, spoken);
    }
}
