//! The texts of the page, in each of its languages.

/// The texts in one language. `{}` is replaced by a name.
pub(super) struct Texts {
    /// The language's subtag (RFC 5646).
    pub(super) lang: &'static str,
    /// `ltr` or `rtl`, as in HTML's `dir`.
    pub(super) dir: &'static str,

    /// Heading of the page about a blocked name.
    pub(super) blocked: &'static str,
    /// The meaning of 451.
    pub(super) legal_status: &'static str,
    /// An outside authority demands the block.
    pub(super) legal: &'static str,
    /// The meaning of 403.
    pub(super) own_status: &'static str,
    /// The operator wants the block.
    pub(super) own: &'static str,

    /// Label of the list.
    pub(super) list: &'static str,
    /// Label of the reason.
    pub(super) reason: &'static str,
    /// Label of the authority.
    pub(super) authority: &'static str,
    /// Label of the date.
    pub(super) since: &'static str,
    /// Label of the resolver's operator.
    pub(super) operator: &'static str,
    /// Label of the contact.
    pub(super) contact: &'static str,
    /// Label of the id.
    pub(super) reference: &'static str,
    /// Advice about a mistaken block, where a contact is given.
    pub(super) ask: &'static str,
    /// The same without a contact.
    pub(super) ask_operator: &'static str,

    /// Heading of the page about a name that is not blocked.
    pub(super) free: &'static str,
    /// Its text; takes the name.
    pub(super) free_text: &'static str,

    /// Heading of the page without a name.
    pub(super) nothing: &'static str,
    /// The owner of the page; takes the operator.
    pub(super) nothing_of: &'static str,
    /// Its text.
    pub(super) nothing_text: &'static str,

    /// The footer of every page: its source.
    pub(super) source: &'static str,
}

/// Every language, the default first.
pub(super) static ALL: [&Texts; 6] = [&ENGLISH, &RUSSIAN, &GERMAN, &FRENCH, &SPANISH, &ARABIC];

/// The default.
pub(super) static ENGLISH: Texts = Texts {
    lang: "en",
    dir: "ltr",
    blocked: "This site is blocked",
    legal_status: "Unavailable for legal reasons",
    legal: "An authority outside this network requires this site to be blocked. This network’s DNS server \
        complies, and has sent you here instead.",
    own_status: "Access refused",
    own: "The operator of this network’s DNS server has blocked this site and sent you here instead.",
    list: "Blocklist",
    reason: "Reason",
    authority: "Demanded by",
    since: "Since",
    operator: "Operator",
    contact: "Contact",
    reference: "Reference",
    ask: "If you think this is a mistake, use the contact above and quote the reference.",
    ask_operator: "If you think this is a mistake, contact the operator of this network and quote the reference.",
    free: "This site is not blocked here",
    free_text: "This server does not block {}, or no longer does. Your device may remember an old answer. Wait \
        a minute, close the browser and open it again, then try again.",
    nothing: "Block page",
    nothing_of: "This is the block page of {}.",
    nothing_text: "This server explains why a site is blocked. You see this page because you opened the address \
        of the server itself, or because your browser did not name the site.",
    source: "This page comes from this network’s DNS server, not from the site.",
};

static RUSSIAN: Texts = Texts {
    lang: "ru",
    dir: "ltr",
    blocked: "Сайт заблокирован",
    legal_status: "Недоступно по юридическим причинам",
    legal: "Заблокировать этот сайт требует ведомство, которое не имеет отношения к этой сети. DNS-сервер сети \
        выполняет это требование, поэтому вместо сайта открылась эта страница.",
    own_status: "В доступе отказано",
    own: "Этот сайт заблокировал администратор DNS-сервера этой сети, поэтому вместо сайта открылась эта страница.",
    list: "Список блокировки",
    reason: "Причина",
    authority: "По требованию",
    since: "Действует с",
    operator: "Оператор",
    contact: "Куда обратиться",
    reference: "Код обращения",
    ask: "Если вы считаете, что сайт заблокирован по ошибке, обратитесь по указанному адресу и сообщите код \
        обращения.",
    ask_operator: "Если вы считаете, что сайт заблокирован по ошибке, обратитесь к администратору сети и \
        сообщите код обращения.",
    free: "Этот сайт здесь не заблокирован",
    free_text: "Этот сервер не блокирует {} или больше его не блокирует. Возможно, ваше устройство помнит \
        прежний ответ. Подождите минуту, закройте и снова откройте браузер и повторите попытку.",
    nothing: "Страница блокировки",
    nothing_of: "Владелец этой страницы блокировки — {}.",
    nothing_text: "Этот сервер объясняет, почему сайт заблокирован. Вы видите эту страницу, потому что открыли \
        адрес самого сервера или потому что браузер не сообщил, какой сайт ему нужен.",
    source: "Эту страницу показывает DNS-сервер сети, а не сам сайт.",
};

static GERMAN: Texts = Texts {
    lang: "de",
    dir: "ltr",
    blocked: "Diese Website ist gesperrt",
    legal_status: "Aus rechtlichen Gründen nicht verfügbar",
    legal: "Eine Stelle außerhalb dieses Netzes verlangt, dass diese Website gesperrt wird. Der DNS-Server \
        dieses Netzes setzt das um und hat Sie deshalb hierher statt zur Website geführt.",
    own_status: "Zugriff verweigert",
    own: "Der Betreiber des DNS-Servers dieses Netzes hat diese Website gesperrt. Der Server hat Sie deshalb \
        hierher statt zur Website geführt.",
    list: "Sperrliste",
    reason: "Grund",
    authority: "Verlangt von",
    since: "Seit",
    operator: "Betreiber",
    contact: "Kontakt",
    reference: "Kennung",
    ask: "Wenn Sie das für einen Irrtum halten, wenden Sie sich an den genannten Kontakt und geben Sie die \
        Kennung an.",
    ask_operator: "Wenn Sie das für einen Irrtum halten, wenden Sie sich an den Betreiber dieses Netzes und geben \
        Sie die Kennung an.",
    free: "Diese Website ist hier nicht gesperrt",
    free_text: "Dieser Server sperrt {} nicht oder nicht mehr. Ihr Gerät erinnert sich vielleicht an eine alte \
        Antwort. Warten Sie eine Minute, schließen und öffnen Sie den Browser und versuchen Sie es noch einmal.",
    nothing: "Sperrseite",
    nothing_of: "Dies ist die Sperrseite von {}.",
    nothing_text: "Dieser Server erklärt, warum eine Website gesperrt ist. Sie sehen diese Seite, weil Sie die \
        Adresse des Servers selbst geöffnet haben oder weil Ihr Browser nicht gesagt hat, welche Website er sucht.",
    source: "Diese Seite kommt vom DNS-Server dieses Netzes, nicht von der Website.",
};

static FRENCH: Texts = Texts {
    lang: "fr",
    dir: "ltr",
    blocked: "Ce site est bloqué",
    legal_status: "Indisponible pour des raisons légales",
    legal: "Une autorité extérieure à ce réseau exige le blocage de ce site. Le serveur DNS du réseau applique \
        cette demande et vous a donc dirigé vers cette page au lieu du site.",
    own_status: "Accès refusé",
    own: "L’exploitant du serveur DNS de ce réseau a bloqué ce site. Le serveur vous a donc dirigé vers cette \
        page au lieu du site.",
    list: "Liste de blocage",
    reason: "Motif",
    authority: "Exigé par",
    since: "Depuis",
    operator: "Exploitant",
    contact: "Contact",
    reference: "Référence",
    ask: "Si vous pensez qu’il s’agit d’une erreur, adressez-vous au contact ci-dessus en indiquant la référence.",
    ask_operator: "Si vous pensez qu’il s’agit d’une erreur, adressez-vous au responsable de ce réseau en \
        indiquant la référence.",
    free: "Ce site n’est pas bloqué ici",
    free_text: "Ce serveur ne bloque pas {}, ou ne le bloque plus. Votre appareil a peut-être gardé une ancienne \
        réponse. Patientez une minute, fermez puis rouvrez le navigateur et réessayez.",
    nothing: "Page de blocage",
    nothing_of: "Ceci est la page de blocage de {}.",
    nothing_text: "Ce serveur explique pourquoi un site est bloqué. Vous voyez cette page parce que vous avez \
        ouvert l’adresse du serveur lui-même, ou parce que votre navigateur n’a pas indiqué quel site il cherchait.",
    source: "Cette page vient du serveur DNS de ce réseau, et non du site.",
};

static SPANISH: Texts = Texts {
    lang: "es",
    dir: "ltr",
    blocked: "Este sitio está bloqueado",
    legal_status: "No disponible por motivos legales",
    legal: "Una autoridad ajena a esta red exige que se bloquee este sitio. El servidor DNS de la red cumple esa \
        exigencia y por eso ha llegado usted a esta página y no al sitio.",
    own_status: "Acceso denegado",
    own: "El operador del servidor DNS de esta red ha bloqueado este sitio. Por eso ha llegado usted a esta \
        página y no al sitio.",
    list: "Lista de bloqueo",
    reason: "Motivo",
    authority: "Exigido por",
    since: "Desde",
    operator: "Operador",
    contact: "Contacto",
    reference: "Referencia",
    ask: "Si cree que se trata de un error, diríjase al contacto indicado y mencione la referencia.",
    ask_operator: "Si cree que se trata de un error, diríjase al responsable de esta red y mencione la referencia.",
    free: "Este sitio no está bloqueado aquí",
    free_text: "Este servidor no bloquea {}, o ya no lo bloquea. Es posible que su dispositivo recuerde una \
        respuesta antigua. Espere un minuto, cierre y vuelva a abrir el navegador e inténtelo de nuevo.",
    nothing: "Página de bloqueo",
    nothing_of: "Esta es la página de bloqueo de {}.",
    nothing_text: "Este servidor explica por qué un sitio está bloqueado. Ve esta página porque abrió la \
        dirección del propio servidor o porque su navegador no indicó qué sitio buscaba.",
    source: "Esta página procede del servidor DNS de esta red, no del sitio.",
};

static ARABIC: Texts = Texts {
    lang: "ar",
    dir: "rtl",
    blocked: "هذا الموقع محجوب",
    legal_status: "غير متاح لأسباب قانونية",
    legal: "تطلب جهة من خارج هذه الشبكة حجب هذا الموقع. وينفّذ خادم أسماء النطاقات في هذه الشبكة هذا الطلب، \
        ولذلك ظهرت لك هذه الصفحة بدلًا من الموقع.",
    own_status: "الوصول مرفوض",
    own: "حجب مشغّل خادم أسماء النطاقات في هذه الشبكة هذا الموقع، ولذلك ظهرت لك هذه الصفحة بدلًا من الموقع.",
    list: "قائمة الحجب",
    reason: "السبب",
    authority: "بطلب من",
    since: "منذ",
    operator: "الجهة المشغّلة",
    contact: "للتواصل",
    reference: "الرقم المرجعي",
    ask: "إذا كنت ترى أن الموقع حُجب خطأً، فتواصل مع الجهة المذكورة أعلاه واذكر الرقم المرجعي.",
    ask_operator: "إذا كنت ترى أن الموقع حُجب خطأً، فتواصل مع مسؤول هذه الشبكة واذكر الرقم المرجعي.",
    free: "هذا الموقع غير محجوب هنا",
    free_text: "لا يحجب هذا الخادم الموقع {}، أو لم يعد يحجبه. وربما ما زال جهازك يتذكر إجابة قديمة. انتظر \
        دقيقة، ثم أغلق المتصفح وافتحه من جديد وأعد المحاولة.",
    nothing: "صفحة الحجب",
    nothing_of: "صاحب صفحة الحجب هذه: {}.",
    nothing_text: "يوضّح هذا الخادم سبب حجب المواقع. وقد ظهرت لك هذه الصفحة لأنك فتحت عنوان الخادم نفسه، أو لأن \
        متصفحك لم يذكر الموقع الذي يبحث عنه.",
    source: "هذه الصفحة من خادم أسماء النطاقات في هذه الشبكة، وليست من الموقع نفسه.",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_for_names_are_where_they_are_needed_and_only_there() {
        for texts in ALL {
            for with in [texts.free_text, texts.nothing_of] {
                assert_eq!(with.matches("{}").count(), 1, "{with}");
            }
            let Texts { blocked, legal, own, ask, ask_operator, free, nothing, nothing_text, source, .. } =
                texts;
            for without in [blocked, legal, own, ask, ask_operator, free, nothing, nothing_text, source] {
                assert!(!without.contains("{}") && !without.is_empty(), "{without}");
            }
        }
    }
}
