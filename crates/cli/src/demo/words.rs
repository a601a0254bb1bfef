//! The vocabulary of the synthetic history: what the text columns of `interactions` may hold.

/// An enum whose variants are stored as one byte and written as the text beside them.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name { $($variant),* }

        impl $name {
            pub const TEXTS: &'static [&'static str] = &[$($text),*];

            #[allow(dead_code, reason = "most are only looked up by number")]
            pub fn text(self) -> &'static str {
                Self::TEXTS[self as usize]
            }
        }
    };
}

words!(Channel {
    Phone = "phone",
    Chat = "chat",
    Email = "email",
    Web = "web",
    App = "app",
    Store = "store",
    Social = "social",
    Sms = "sms",
    Bot = "bot",
    Sensor = "sensor",
});

words!(Touchpoint {
    None = "",
    Home = "home",
    Catalog = "catalog",
    Search = "search",
    Product = "product",
    Cart = "cart",
    Checkout = "checkout",
    Help = "help",
    ErrorPage = "error_page",
    Account = "account",
    CallCentre = "call_centre",
    Outbound = "outbound_call",
    LiveChat = "live_chat",
    Inbox = "inbox",
    Newsletter = "newsletter",
    Till = "till",
    ShopFloor = "shop_floor",
    ServiceDesk = "service_desk",
    Post = "post",
    Review = "review",
    DirectMessage = "direct_message",
    Message = "message",
    Push = "push",
    Assistant = "assistant",
    Device = "device",
    Questionnaire = "questionnaire",
});

words!(Kind {
    Purchase = "purchase",
    Return = "return",
    Offer = "offer",
    Contact = "contact",
    Survey = "survey",
    PageView = "page_view",
    Search = "search",
    ProductView = "product_view",
    AddToCart = "add_to_cart",
    Checkout = "checkout",
    Error = "error",
    Visit = "visit",
    Post = "post",
    Referral = "referral",
    Notification = "notification",
    MessageSent = "message_sent",
    MessageOpened = "message_opened",
    MessageClicked = "message_clicked",
    Assignment = "assignment",
    Reading = "reading",
});

words!(Direction {
    Inbound = "inbound",
    Outbound = "outbound",
    Internal = "internal",
});

words!(Context {
    Relationship = "relationship",
    Personal = "personal",
    Situational = "situational",
});

words!(Outcome {
    None = "",
    Purchase = "purchase",
    Refusal = "refusal",
    Postponed = "postponed",
    Returned = "returned",
    Resolved = "resolved",
    Unresolved = "unresolved",
    Escalated = "escalated",
    Treated = "treated",
    Control = "control",
    Delivered = "delivered",
    Abandoned = "abandoned",
});

words!(Survey {
    None = "",
    Nps = "nps",
    Csat = "csat",
    Ces = "ces",
    Likert = "likert",
});

words!(Language {
    English = "en",
    Polish = "pl",
    Russian = "ru",
});

/// Why people get in touch: the code that the synthetic CRM writes, and what it means.
pub const REASONS: &[(&str, [&str; 3])] = &[
    (
        "R01",
        [
            "where is my order",
            "gdzie jest moje zamówienie",
            "где мой заказ",
        ],
    ),
    (
        "R02",
        ["late delivery", "opóźniona dostawa", "задержка доставки"],
    ),
    (
        "R03",
        [
            "wrong or damaged goods",
            "błędny lub uszkodzony towar",
            "не тот или повреждённый товар",
        ],
    ),
    (
        "R04",
        ["return and refund", "zwrot pieniędzy", "возврат денег"],
    ),
    (
        "R05",
        ["invoice and payment", "faktura i płatność", "счёт и оплата"],
    ),
    (
        "R06",
        ["how to use it", "jak tego używać", "как этим пользоваться"],
    ),
    (
        "R07",
        [
            "account and password",
            "konto i hasło",
            "учётная запись и пароль",
        ],
    ),
    (
        "R08",
        ["loyalty points", "punkty lojalnościowe", "бонусные баллы"],
    ),
    (
        "R09",
        [
            "complaint about service",
            "skarga na obsługę",
            "жалоба на обслуживание",
        ],
    ),
    (
        "R10",
        [
            "question before buying",
            "pytanie przed zakupem",
            "вопрос перед покупкой",
        ],
    ),
    (
        "R11",
        [
            "technical fault",
            "usterka techniczna",
            "техническая неисправность",
        ],
    ),
    (
        "R12",
        ["data and consent", "dane i zgody", "данные и согласия"],
    ),
];

/// Why an offer is turned down.
pub const REFUSALS: &[(&str, [&str; 3])] = &[
    ("price", ["too expensive", "za drogo", "слишком дорого"]),
    ("need", ["not needed", "niepotrzebne", "не нужно"]),
    ("timing", ["not now", "nie teraz", "не сейчас"]),
    (
        "competitor",
        [
            "bought elsewhere",
            "kupione gdzie indziej",
            "куплено в другом месте",
        ],
    ),
    (
        "trust",
        [
            "does not trust the offer",
            "brak zaufania do oferty",
            "не доверяет предложению",
        ],
    ),
];

/// What people say, by language, from bad to good. Five of each.
pub const SAYINGS: [[&[&str]; 3]; 3] = [
    [
        &[
            "I waited forever and nobody could help me.",
            "This is the third time I have to explain the same problem.",
            "Terrible service, I am looking for another shop.",
            "The parcel is still missing and nobody answers.",
            "I was cut off and had to start all over again.",
        ],
        &[
            "I would like to know where my order is.",
            "Please send me the invoice again.",
            "Can I change the delivery address?",
            "How do I use my loyalty points?",
            "It works, but the instructions are short.",
        ],
        &[
            "Solved at once, thank you!",
            "Very friendly and quick, I will come back.",
            "Great product, better than I expected.",
            "The advisor knew exactly what I needed.",
            "Delivery was a day early, well done.",
        ],
    ],
    [
        &[
            "Czekałem bardzo długo i nikt nie potrafił mi pomóc.",
            "Trzeci raz tłumaczę ten sam problem.",
            "Fatalna obsługa, szukam innego sklepu.",
            "Paczki nadal nie ma i nikt nie odpowiada.",
            "Rozłączono mnie i musiałam zaczynać od nowa.",
        ],
        &[
            "Chciałbym wiedzieć, gdzie jest moje zamówienie.",
            "Proszę o ponowne przesłanie faktury.",
            "Czy mogę zmienić adres dostawy?",
            "Jak wykorzystać punkty lojalnościowe?",
            "Działa, ale instrukcja jest krótka.",
        ],
        &[
            "Załatwione od ręki, dziękuję!",
            "Miło i szybko, na pewno wrócę.",
            "Świetny produkt, lepszy niż myślałem.",
            "Doradca dokładnie wiedział, czego potrzebuję.",
            "Dostawa dzień wcześniej, brawo.",
        ],
    ],
    [
        &[
            "Я ждал целую вечность, и никто не смог помочь.",
            "Третий раз объясняю одну и ту же проблему.",
            "Ужасное обслуживание, ищу другой магазин.",
            "Посылки всё ещё нет, и никто не отвечает.",
            "Звонок прервался, пришлось начинать сначала.",
        ],
        &[
            "Хочу узнать, где мой заказ.",
            "Пришлите, пожалуйста, счёт ещё раз.",
            "Можно ли изменить адрес доставки?",
            "Как использовать бонусные баллы?",
            "Работает, но инструкция слишком короткая.",
        ],
        &[
            "Решили сразу, спасибо!",
            "Приветливо и быстро, обязательно вернусь.",
            "Отличный товар, лучше, чем я ожидал.",
            "Консультант точно знал, что мне нужно.",
            "Доставили на день раньше, молодцы.",
        ],
    ],
];
