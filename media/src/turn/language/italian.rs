//! Italian.

use super::table::{Grammar, LanguageTable, Replies, Topics, Values};
use crate::turn::cues::WEIGHTS_OTHER;

pub(super) const TABLE: LanguageTable = LanguageTable {
    grammar: Grammar {
        never_last: "e ed o ma perché il lo la i gli le un uno una mio mia miei mie suo sua suoi nostro nostra se \
            quando che del dello della dei degli delle al allo alla ai alle dal dalla nel nella sul sulla anche però \
            mentre oppure né cui ogni l' un'",
        seldom_last: "è sono era sei siamo di a con per in da su tra fra senza sotto verso fino ho ha hanno abbiamo \
            avevo posso può potete voglio vuole vorrei devo deve sto sta vado va molto più come quindi dove chi io \
            lui lei noi loro mi si ci ne non questo questa quello quella essere c'è",
        prenominals: "altro altra altri altre nuovo nuova prossimo prossima stesso stessa proprio primo prima molti \
            molte vari tutti tutte",
        needs_object: "vorrei voglio cerco ordinare cambiare annullare prenotare prendere avere fare dare comprare \
            mandare premere digitare bisogno inserire",
        particles: "di a non per da che mi",
        subordinators: "se quando perché mentre siccome appena finché",
        determiners: "il lo la i gli le un uno una mio mia suo sua nostro nostra questo questa quello quella l'",
        subjects: "io tu lui lei noi voi loro",
        fronted: "che",
        finite: "è sono era sei siamo ho ha hanno abbiamo avevo posso può possono voglio vuole vorrei devo deve \
            sto sta stanno vado va funziona arriva arrivato viene so sa dice costa abito chiamo chiama sembra \
            manca serve chiude apre inizia stato esiste esistono resta desidero desidera credo penso spero \
            piacerebbe potrebbe sarebbe fa successo stai avendo entrato uscito abbia hai sanno",
        pairs: &[("tra", "e"), ("sia", "sia"), ("né", "né")],
        modals: "",
        is_verb_final: false,
        joiners: "e ed o oppure",
        question_words: "cosa dove quando chi quale quali perché come quanto quanta quanti quante cos'è dov'è",
        question_verbs: "è può posso potete avete c'è ci sono potrebbe",
        imperatives: "prego premere premi digitare digiti chiami mandi dia faccia prenda attenda lasci vada venga \
            cerchi benvenuto grazie inserire inserisca dica",
    },
    replies: Replies {
        fillers: "eh ehm uhm mmm hm mah allora",
        answers: "sì|si|no|va bene|d'accordo|ok|okay|certo|esatto|esattamente|giusto|corretto|è corretto|è giusto|\
            sì esatto|sì è corretto|grazie|grazie mille|arrivederci|ciao|pronto|buongiorno|buonasera|sì grazie|\
            no grazie|sì per favore|certamente|è tutto|basta così|nient'altro|no è tutto|non lo so|non so|non ancora|\
            perfetto|benissimo|bene|niente|nulla|per niente|scusi|mi scusi|volentieri|assolutamente|prego|stop|ecco",
        affirmations: "sì si certo va ok allora buongiorno buonasera salve pronto ciao",
        lead_ins: "sì no ok allora e ma buongiorno salve",
        request_verbs: "può potrebbe posso mi",
        holds: "un momento|un momento per favore|un attimo|un attimo per favore|aspetti|aspetta|aspetti un attimo|\
            un secondo|un minuto|vediamo|vediamo un po'|fammi pensare|mi faccia pensare|mi faccia vedere|\
            mi lasci vedere|mi lasci controllare|attenda|attenda in linea|controllo|controllo subito|sto cercando|\
            lo cerco|come si dice|un attimino|resti in linea",
    },
    values: Values {
        digits: "zero uno due tre quattro cinque sei sette otto nove",
        numbers: "dieci undici dodici tredici quattordici quindici sedici diciassette diciotto diciannove venti \
            ventuno ventidue ventitré trenta quaranta cinquanta sessanta settanta ottanta novanta",
        multipliers: "doppio triplo cento mille cancelletto asterisco",
        spelling: "ancona bologna como domodossola empoli firenze genova hotel imola jolly kappa livorno milano \
            napoli otranto padova quarto roma savona torino udine venezia washington xilofono york zara acca \
            effe elle emme enne erre esse zeta alfa alpha bravo charlie delta echo foxtrot golf india juliett \
            juliet kilo lima mike november oscar papa quebec romeo sierra tango uniform victor whiskey yankee \
            zulu",
        address_words: "chiocciola punto trattino plus",
        items: "lunedì martedì mercoledì giovedì venerdì sabato domenica oggi domani primo secondo terzo quarto \
            quinto lunedi martedi mercoledi giovedi venerdi",
        months: "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        phone_digits: (9, 10),
        postal_digits: (5, 5),
    },
    topics: Topics {
        phone: "numero di telefono|telefono|cellulare|richiamare|numero di cellulare|recapito",
        number: "numero|numero d'ordine|numero cliente|numero di conto|codice|pin|riferimento|fattura|cifre|interno|\
            pratica",
        postal: "codice postale|cap",
        digit: "cifra|cifre",
        date: "data|data di nascita|nato|nata|che giorno|quale giorno|compleanno",
        email: "e-mail|email|posta elettronica|indirizzo mail|mail",
        spell: "compitare|lettera per lettera|lettere|spelling|si scrive",
        name: "il suo nome|cognome|nome completo|con chi parlo|come si chiama|il tuo nome",
        short: "quanti|quante|quanto|a che ora|che età|quando|quale|che taglia|che colore",
        several: "quali giorni|quali mesi|quali prodotti|quali articoli|ordinare",
        anything_else: "altro|qualcos'altro|altre domande|ancora qualcosa",
        story: "come posso|in cosa posso|cosa posso|cosa è successo|mi racconti|spieghi|descriva|\
            lasciare un messaggio|il suo messaggio|di cosa si tratta|qual è il problema",
    },
    weights: WEIGHTS_OTHER,
};
