//! Spanish.

use super::table::{Grammar, LanguageTable, Replies, Topics, Values};
use crate::turn::cues::WEIGHTS_OTHER;

pub(super) const TABLE: LanguageTable = LanguageTable {
    grammar: Grammar {
        never_last: "y e o u pero porque el la los las un una unos unas mi mis su sus tu tus nuestro nuestra si \
            cuando que del al aunque mientras donde cada ni sino cuyo pues",
        seldom_last: "es son era soy eres está están estoy de a con para por en sobre entre hasta desde sin contra \
            según hacia se me le lo nos ha he han hay había tengo tiene tienen puedo puede quiero quiere quisiera \
            debo debe voy va muy más como también entonces qué quien ese esa este esta estos estas yo él ella ellos \
            nosotros usted ser",
        prenominals: "otro otra otros otras nuevo nueva próximo próxima mismo misma propio primer primera muchos \
            muchas varios varias todos todas",
        needs_object: "quiero quisiera necesito busco pedir cambiar cancelar reservar hacer comprar tomar obtener \
            tener dar marque pulse oprima enviar introduzca ingrese",
        particles: "a de que no para por me",
        subordinators: "si cuando porque mientras aunque como",
        determiners: "el la los las un una mi mis su sus tu nuestro nuestra este esta ese esa estos estas",
        subjects: "yo tú usted él ella nosotros ellos ellas ustedes",
        fronted: "que",
        finite: "es son era soy eres está están estoy ha he han hay había tengo tiene tienen puedo puede pueden \
            quiero quiere quisiera necesito debo debe voy va fue funciona llega llegó llama llamo viene sé sabe \
            dice cuesta vivo vive parece gusta falta cierra abre empieza sido encuentra existe existen queda \
            quedan desea deseo uso usa unirán uniran creo pienso espero gustaría podría sería hace hizo pasa \
            pasó sigue puedes tenemos estamos iniciará",
        pairs: &[("entre", "y"), ("tanto", "como"), ("ni", "ni")],
        modals: "",
        is_verb_final: false,
        joiners: "y e o u",
        question_words: "qué dónde cuándo quién cuál cuáles cómo cuánto cuánta cuántos cuántas",
        question_verbs: "es está puede puedo tiene hay podría",
        imperatives: "por marque pulse oprima presione llame envíe deme haga tome espere deje vaya venga busque \
            bienvenido gracias introduzca ingrese diga",
    },
    replies: Replies {
        fillers: "eh em mmm hm este pues ah",
        answers: "sí|si|no|vale|de acuerdo|ok|okay|claro|correcto|exacto|exactamente|así es|eso es|sí así es|\
            sí es correcto|gracias|muchas gracias|adiós|hasta luego|hola|buenos días|buenas tardes|buenas noches|\
            sí por favor|no gracias|sí gracias|por supuesto|eso es todo|es todo|nada más|no eso es todo|no sé|\
            no lo sé|todavía no|perfecto|muy bien|está bien|bien|desde luego|nada|para nada|perdón|disculpe|bueno|\
            sí claro|diga|dígame|aló|basta|listo",
        affirmations: "sí si vale bueno claro ok hola buenos días buenas tardes noches",
        lead_ins: "sí no vale bueno pues y pero hola",
        request_verbs: "puede podría puedo me",
        holds: "un momento|un momento por favor|espere|espera|espere un momento|espere por favor|un segundo|\
            un minuto|déjeme ver|déjeme pensar|déjame ver|a ver|vamos a ver|un momentito|un instante|permítame|\
            permítame un momento|voy a ver|lo busco|estoy buscando|cómo se dice|deme un momento|deme un segundo|\
            ahora mismo miro|no cuelgue",
    },
    values: Values {
        digits: "cero uno dos tres cuatro cinco seis siete ocho nueve",
        numbers: "diez once doce trece catorce quince dieciséis diecisiete dieciocho diecinueve veinte veintiuno \
            veintidós veintitrés veinticuatro veinticinco treinta cuarenta cincuenta sesenta setenta ochenta noventa",
        multipliers: "doble triple cien ciento mil numeral asterisco",
        spelling: "antonio barcelona carmen dolores enrique francia gerona historia inés josé kilo lorenzo \
            madrid navarra oviedo parís querido ramón sábado tarragona ulises valencia washington xiquena yegua \
            zaragoza be ce hache jota uve zeta eñe equis alfa bravo carlos charlie delta eco foxtrot golf hotel \
            india julieta juliet lima mike nancy oscar papa quebec queso romeo sierra tango uniforme víctor \
            whiskey yankee zulu x-ray",
        address_words: "arroba punto guion guión plus",
        items: "lunes martes miércoles jueves viernes sábado domingo hoy mañana primero segundo tercero cuarto \
            quinto sabado miercoles",
        months: "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        phone_digits: (9, 10),
        postal_digits: (5, 5),
    },
    topics: Topics {
        phone: "número de teléfono|teléfono|móvil|celular|devolver la llamada|número de contacto",
        number: "número|número de pedido|número de cliente|número de cuenta|código|clave|referencia|factura|dígitos|\
            extensión",
        postal: "código postal",
        digit: "dígito|dígitos|cifras",
        date: "fecha|fecha de nacimiento|nació|qué día|cumpleaños",
        email: "correo|correo electrónico|email|e-mail|dirección de correo",
        spell: "deletrear|deletree|deletrearme|letra por letra|letras",
        name: "su nombre|apellido|nombre completo|con quién hablo|cómo se llama|tu nombre",
        short: "cuántos|cuántas|cuánto|a qué hora|qué edad|cuándo|cuál|qué talla|qué color",
        several: "qué días|qué meses|qué productos|qué artículos|desea pedir|ordenar",
        anything_else: "algo más|alguna otra|otra cosa|más preguntas|otra consulta",
        story: "en qué puedo|cómo puedo|en qué le puedo|qué pasó|cuénteme|explique|describa|dejar un mensaje|\
            su mensaje|de qué se trata|qué ha pasado|cuál es el problema",
    },
    weights: WEIGHTS_OTHER,
};
