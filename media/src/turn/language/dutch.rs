//! Dutch.

use super::table::{Grammar, LanguageTable, Replies, Topics, Values};
use crate::turn::cues::WEIGHTS_OTHER;

pub(super) const TABLE: LanguageTable = LanguageTable {
    grammar: Grammar {
        never_last: "en of maar want omdat de het een mijn uw jouw onze hun als wanneer ik wij we jij terwijl zodat \
            doordat tenzij hoewel wiens m'n z'n d'r",
        seldom_last: "zijn haar ons is was ben bent waren om van met voor naar bij dat die ook nou te dus tot \
            tussen zonder heb hebt heeft had hadden kan kun kunt wil wilt zal zou moet moeten mag word wordt \
            werd nog heel erg zeer elke ieder sinds per dan toen hij zij ze u wat hoe of",
        prenominals: "deze dit meer veel weinig andere ander nieuwe volgende eigen eerste oude grote kleine \
            verschillende enkele op aan uit af door in mee toe over onder tegen",
        needs_object: "wil wilt bestel zoek heb geef neem stuur sturen toets kies",
        particles: "te niet graag nu even ook",
        subordinators: "als omdat wanneer terwijl toen nadat voordat zodra hoewel doordat zolang tenzij",
        determiners: "de het een mijn uw jouw onze hun deze die dit dat elk elke iedere geen m'n",
        subjects: "ik jij je u hij zij ze wij we jullie het",
        fronted: "alles wat iets niets",
        finite: "is was ben bent zijn waren heb hebt heeft had hadden kan kun kunt kunnen kon wil wilt willen \
            wou zal zult zullen zou moet moeten mag mogen word wordt werd gaat ga ging komt kom kwam staat sta \
            doet doe deed zegt weet wist werkt klopt lukt duurt krijg krijgt belt bel geeft heet woon woont \
            zoek zoekt begint stopt vind vinden vindt denk denkt hoop loopt gaan komen zien ziet maakt neemt \
            probeer probeert probeerde gebeurt gebeurde kreeg belde kocht betaalde vergeten verveelt \
            ligt lag blijft bleef valt viel hoor hoort hoorde betaal betaalt verander verandert veranderde snap \
            snapt snapte begrijp begrijpt begreep vraag vraagt vroeg wacht wachtte schreef schrijf lees las stond \
            zit zat kost kostte ontvang ontving stuurde verwacht verwachtte ontbreekt mist help helpt hielp gebruik \
            gebruikt gebruikte verhuis verhuisde sluit sloot opent opende bestelde bestelt besloot wilde wilden \
            moest moesten mocht zei zeiden dacht vond liep reed rijdt brak deden stopte begon werkte woonde heette \
            lukte",
        pairs: &[("tussen", "en"), ("zowel", "als"), ("hetzij", "hetzij")],
        modals: "kan kun kunt kunnen kon konden zal zult zullen zou zouden moet moeten moest moesten mag mogen",
        is_verb_final: true,
        joiners: "en of",
        question_words: "wat waar wanneer wie welke welk waarom hoe hoeveel waarvoor",
        question_verbs: "is zijn was heb hebt heeft kan kun kunt kunnen wil wilt zal zou moet mag ben bent doet doe \
            gaat komt klopt weet",
        imperatives: "graag toets kies bel druk stuur geef maak neem wacht laat ga kom zoek stop verbind welkom \
            bedankt spreek voer",
    },
    replies: Replies {
        fillers: "eh ehm uh uhm euh hm hmm ah",
        answers: "ja|nee|oké|ok|okay|prima|goed|klopt|dat klopt|ja dat klopt|precies|inderdaad|bedankt|dank u|\
            dank je|dank je wel|dank u wel|dankjewel|hartelijk dank|tot ziens|dag|doei|hallo|graag|ja graag|\
            nee dank u|nee bedankt|nee dank je|natuurlijk|zeker|dat was het|dat was alles|dat is alles|\
            nee dat was het|weet ik niet|dat weet ik niet|ik weet het niet|stop|goedemorgen|goedemiddag|goedenavond|\
            perfect|is goed|dat is goed|helemaal goed|uitstekend|sorry|pardon|nog niet|niks|niets|helemaal niet|\
            jawel|ja hoor|ja hallo|nee hoor|jazeker",
        affirmations: "ja jawel oké ok goed nou zeker hallo hoi goedemorgen goedemiddag goedenavond dag",
        lead_ins: "ja nee oké ok dus nou en maar hallo sorry",
        request_verbs: "kunt kan kun mag wilt",
        holds: "even kijken|even denken|momentje|een momentje|moment|een moment|een ogenblik|ogenblik|\
            een ogenblikje|ogenblikje|wacht even|wacht|even geduld|een seconde|een minuutje|even zoeken|\
            ik kijk even|ik zoek even|blijf even hangen|momentje hoor|een moment alstublieft|\
            een ogenblik alstublieft|weet je|hoe zeg je dat|laat me even kijken|even pakken|ik pak het even|\
            ik pak hem even|ik wil graag|ik zou graag|ik had graag",
    },
    values: Values {
        digits: "nul een twee drie vier vijf zes zeven acht negen één",
        numbers: "tien elf twaalf dertien veertien vijftien zestien zeventien achttien negentien twintig dertig \
            veertig vijftig zestig zeventig tachtig negentig",
        multipliers: "dubbel dubbele drie-dubbel honderd duizend hekje sterretje",
        spelling: "anton bernard cornelis dirk eduard ferdinand gerard hendrik izaak johan karel lodewijk maria \
            nico otto pieter quotiënt rudolf simon theodor utrecht victor willem xantippe ypsilon zaandam ij \
            alfa alpha bravo charlie delta echo foxtrot golf hotel india juliett juliet kilo lima mike november \
            oscar papa quebec romeo sierra tango uniform whiskey yankee zulu",
        address_words: "apenstaartje apestaartje at punt streepje koppelteken plus underscore",
        items: "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag vandaag morgen eerste tweede derde vierde \
            vijfde",
        months: "januari februari maart april mei juni juli augustus september oktober november december",
        phone_digits: (10, 11),
        postal_digits: (4, 4),
    },
    topics: Topics {
        phone: "telefoonnummer|mobiele nummer|mobiel nummer|terugbellen|welk nummer kunnen we|nummer bereikbaar",
        number: "nummer|ordernummer|bestelnummer|klantnummer|rekeningnummer|code|pincode|referentie|kenmerk|\
            factuurnummer|polisnummer|cijfers|huisnummer|toestelnummer",
        postal: "postcode",
        digit: "cijfer|cijfers|cijferig|cijferige",
        date: "datum|geboortedatum|geboren|welke dag|verjaardag|vervaldatum",
        email: "e-mail|email|mailadres|e-mailadres|emailadres|mail",
        spell: "spellen|spel|gespeld|letter voor letter|letters",
        name: "uw naam|je naam|voornaam|achternaam|met wie spreek|wie spreek ik|volledige naam",
        short: "hoeveel|hoe laat|hoe oud|hoe lang|wanneer|welke|welk|welke maat|welke kleur",
        several: "welke dagen|welke kleuren|terugsturen|ontbreekt|welke maanden|welke producten|welke artikelen|\
            wilt u bestellen|bestellen",
        anything_else: "nog iets|verder nog|iets anders|nog meer|andere vragen|verder helpen",
        story: "waarmee kan ik|hoe kan ik|wat kan ik|wat is er|vertel|waar gaat het over|wat is er gebeurd|\
            beschrijf|waar kan ik|waarvoor belt|bericht achterlaten|wat is het probleem|wat is er mis",
    },
    weights: WEIGHTS_OTHER,
};
