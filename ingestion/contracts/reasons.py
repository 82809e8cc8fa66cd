"""Every reason for which a file, a row or a cell is refused or remarked upon, listed once.

In: nothing. Out: `REASONS`, by code, with the sentence for the person who has to act and the
remedy, in English and Persian; `reason(code)`. Readers and layouts raise their own sentences; the
entries here give their codes a meaning in both languages for exports.

Templates know {field}, {raw} (the raw text as it stands) and {detail}.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Reason:
    """What a reason code means and what to do about it."""

    code: str
    message: str
    remedy: str
    message_fa: str
    remedy_fa: str


_CORRECT: Final = "Correct the cell at its source and send the file again."
_CORRECT_FA: Final = "خانه را در مبدأ اصلاح و فایل را دوباره ارسال کنید."

_CELLS: Final[tuple[tuple[str, str, str, str, str], ...]] = (
    (
        "not-a-number",
        "{field} '{raw}' is not a number",
        "Write digits only; put words into the note.",
        "«{raw}» عدد نیست",
        "فقط رقم بنویسید و توضیح را در ستون یادداشت بیاورید.",
    ),
    (
        "ambiguous-number",
        "{field} '{raw}' can be read as different numbers",
        "Write the decimal mark as '.' or '٫', or declare decimal_mark in the source file.",
        "«{raw}» را به بیش از یک عدد می‌توان خواند",
        "ممیز را با «٫» بنویسید.",
    ),
    (
        "not-an-integer",
        "{field} '{raw}' is not a whole number",
        _CORRECT,
        "«{raw}» عدد صحیح نیست",
        _CORRECT_FA,
    ),
    (
        "number-too-large",
        "{field} '{raw}' has more digits than the field can hold",
        "Check the figure and its unit.",
        "«{raw}» بیش از ظرفیت ستون رقم دارد",
        "رقم و واحد آن را بررسی کنید.",
    ),
    (
        "unexpected-percent-sign",
        "{field} '{raw}' is shown as a percentage, but the field is a plain number",
        "Declare percent_scale for the field in the source file, or remove the sign.",
        "«{raw}» درصد نشان داده شده، ولی این ستون درصد نیست",
        "علامت درصد را بردارید.",
    ),
    (
        "ambiguous-percent",
        "{field} '{raw}' may be a percentage or a fraction: no value of the column exceeds 1",
        "Declare percent_scale (percent or fraction) in the source file.",
        "معلوم نیست «{raw}» درصد است یا کسر واحد",
        "مقیاس ستون (درصد یا کسر) را اعلام کنید.",
    ),
    (
        "mixed-percent-scale",
        "{field} '{raw}' stands in a column with values both up to 1 and above 1",
        "Send the whole column on one scale, 0-100 or 0-1.",
        "در ستون «{raw}» درصد و کسر واحد با هم آمده‌اند",
        "همه ستون را با یک مقیاس بفرستید.",
    ),
    (
        "percent-scale-contradicted",
        "{field} '{raw}' is above 1, but the source file declares fractions",
        "Correct percent_scale in the source file, or the column.",
        "«{raw}» بزرگ‌تر از ۱ است، ولی ستون کسر واحد اعلام شده",
        "مقیاس اعلام‌شده یا ستون را اصلاح کنید.",
    ),
    (
        "unit-not-declared",
        "{field} '{raw}' has no unit: rial or toman, thousands or millions?",
        "Declare the unit of the field in the source file.",
        "واحد «{raw}» معلوم نیست",
        "واحد ستون (ریال، تومان، میلیون ریال) را اعلام کنید.",
    ),
    (
        "unit-mismatch",
        "{field} '{raw}' names another unit than the declared one",
        "Use the declared unit in every cell.",
        "واحد «{raw}» با واحد اعلام‌شده ستون یکی نیست",
        "همه خانه‌ها را با واحد اعلام‌شده بنویسید.",
    ),
    (
        "out-of-range",
        "{field} '{raw}' is outside the values that the field may have",
        _CORRECT,
        "«{raw}» بیرون از دامنه مجاز این ستون است",
        _CORRECT_FA,
    ),
    (
        "error-value",
        "{field} holds the spreadsheet error {raw}",
        "Repair the formula and save the workbook with its values.",
        "خانه خطای {raw} دارد",
        "فرمول را درست و فایل را دوباره ذخیره کنید.",
    ),
    (
        "formula-without-value",
        "{field} holds a formula whose value was never computed: {raw}",
        "Open the workbook in a spreadsheet program, recalculate and save.",
        "مقدار فرمول این خانه محاسبه نشده است: {raw}",
        "فایل را در نرم‌افزار صفحه‌گسترده باز، محاسبه و ذخیره کنید.",
    ),
    (
        "not-applicable",
        "{field} '{raw}': the agency says that there is no such value",
        "Nothing to do, or declare the word under blank_words.",
        "«{raw}»: موضوعیت ندارد",
        "اقدامی لازم نیست.",
    ),
    (
        "not-reported",
        "{field} '{raw}': the agency does not know or report the value",
        "Ask the agency for the value.",
        "«{raw}»: مقدار گزارش نشده است",
        "مقدار را اعلام کنید.",
    ),
    (
        "withheld",
        "{field} '{raw}': the agency withholds the value",
        "Ask the agency whether the value may be used.",
        "«{raw}»: دستگاه مقدار را منتشر نمی‌کند",
        "درباره امکان ارائه مقدار پاسخ دهید.",
    ),
    (
        "merged-value",
        "{field} stands in a cell merged over several records or columns",
        "Undo the merge and give each record its own value.",
        "خانه با چند ردیف یا ستون ادغام شده است",
        "ادغام را بردارید و مقدار هر ردیف را جدا بنویسید.",
    ),
    (
        "not-a-boolean",
        "{field} '{raw}' is neither a yes nor a no",
        "Write بله or خیر, or declare true_words and false_words in the source file.",
        "«{raw}» نه بله است و نه خیر",
        "«بله» یا «خیر» بنویسید.",
    ),
    (
        "not-json",
        "{field} '{raw}' is not a valid JSON value",
        "Correct the value at its source.",
        "«{raw}» ساختار JSON معتبر ندارد",
        _CORRECT_FA,
    ),
    (
        "not-a-date",
        "{field} '{raw}' is not a date in a known form",
        "Write dates like 1405/08/23.",
        "«{raw}» تاریخ نیست",
        "تاریخ را مانند ۱۴۰۵/۰۸/۲۳ بنویسید.",
    ),
    (
        "invalid-date",
        "{field} '{raw}' is a day that the calendar does not have",
        _CORRECT,
        "چنین روزی در تقویم نیست: «{raw}»",
        _CORRECT_FA,
    ),
    (
        "weekday-mismatch",
        "{field} '{raw}' names another weekday than that of the day",
        _CORRECT,
        "نام روز هفته با تاریخ «{raw}» نمی‌خواند",
        _CORRECT_FA,
    ),
    (
        "missing-year",
        "{field} '{raw}' has no year",
        "Write the date with its year, like 1405/08/23.",
        "«{raw}» سال ندارد",
        "تاریخ را همراه سال بنویسید.",
    ),
    (
        "ambiguous-date",
        "{field} '{raw}' leaves open which number is the year, the month or the day",
        "Write the year first and with four digits, like 1405/08/23.",
        "معلوم نیست در «{raw}» کدام عدد سال، ماه یا روز است",
        "نخست سال را چهار رقمی بنویسید.",
    ),
    (
        "ambiguous-calendar",
        "{field} '{raw}' may be a Jalali or a lunar year",
        "Declare the calendar of the field in the source file.",
        "معلوم نیست «{raw}» شمسی است یا قمری",
        "تقویم ستون را اعلام کنید.",
    ),
    (
        "calendar-mismatch",
        "{field} '{raw}' is written in another calendar than the declared one",
        "Use the declared calendar in the whole column.",
        "تقویم «{raw}» با تقویم اعلام‌شده ستون یکی نیست",
        "همه ستون را با تقویم اعلام‌شده بنویسید.",
    ),
    (
        "unformatted-serial",
        "{field} '{raw}' is a bare number where a date is due",
        "Format the cell as a date, or write the date as text.",
        "به جای تاریخ، عدد خام «{raw}» آمده است",
        "قالب خانه را تاریخ کنید.",
    ),
    (
        "zero-date",
        "{field} '{raw}' stands for no date at all",
        "Leave the cell empty when there is no date.",
        "«{raw}» تاریخ واقعی نیست",
        "اگر تاریخی نیست، خانه را خالی بگذارید.",
    ),
    (
        "outside-window",
        "{field} '{raw}' lies outside the years that can be meant",
        "Check the year and the calendar.",
        "سال «{raw}» بیرون از بازه مجاز است",
        "سال و تقویم را بررسی کنید.",
    ),
    (
        "ambiguous-time",
        "{field} '{raw}' is an hour that the clock of Tehran skipped or had twice",
        "Send the time with its offset from UTC.",
        "ساعت «{raw}» با تغییر ساعت رسمی هم‌زمان است",
        "زمان را همراه اختلاف با UTC بفرستید.",
    ),
    (
        "not-a-period",
        "{field} '{raw}' is no reporting period of the expected kind",
        "Write weeks like 1405-W35 or as a day, months like 1405/08, years with four digits.",
        "«{raw}» دوره گزارش نیست",
        "هفته را با تاریخ یک روز آن، ماه را مانند ۱۴۰۵/۰۸ بنویسید.",
    ),
    (
        "iso-week",
        "{field} '{raw}' counts weeks from Monday; a reporting week opens on Saturday",
        "Give the week as a day in it, or as 1405-W35.",
        "«{raw}» هفته میلادی است؛ هفته گزارش از شنبه آغاز می‌شود",
        "هفته را با تاریخ یک روز آن بنویسید.",
    ),
    (
        "future-dated",
        "{field} '{raw}' lies after the day of receipt",
        _CORRECT,
        "«{raw}» پس از روز دریافت است",
        _CORRECT_FA,
    ),
    (
        "closed-before-opened",
        "{field} '{raw}' lies before the opening",
        _CORRECT,
        "«{raw}» پیش از زمان آغاز است",
        _CORRECT_FA,
    ),
)

_ROWS: Final[tuple[tuple[str, str, str, str, str], ...]] = (
    (
        "missing-key",
        "{field} is empty, so the row cannot be told from others",
        "Fill in the cell and send the file again.",
        "خانه خالی است و ردیف بدون آن قابل شناسایی نیست",
        "خانه را پر و فایل را دوباره ارسال کنید.",
    ),
    (
        "shifted-row",
        "the row has more cells than the table has columns: a separator inside a cell moved them",
        "Quote cells that hold the separator, or export with ';' or tab between the columns.",
        "این ردیف از سرستون‌ها خانه بیشتری دارد و خانه‌های آن جابه‌جا شده است",
        "جدول را با جداکننده «;» بسازید یا خانه‌های دارای جداکننده را در گیومه بگذارید.",
    ),
    (
        "future-period",
        "{field} '{raw}' has not begun at the day of receipt",
        "Correct the period.",
        "دوره «{raw}» هنوز آغاز نشده است",
        "دوره را اصلاح کنید.",
    ),
    (
        "foreign-province",
        "{field} '{raw}' is not the province that this source reports on",
        "Move the row to the file of its province.",
        "«{raw}» استان این گزارش نیست",
        "ردیف را در فایل استان خودش بیاورید.",
    ),
    (
        "foreign-agency",
        "{field} '{raw}' is not the agency that this source belongs to",
        "Check whose file this is; a source that reports on other agencies says 'agencies: any'.",
        "«{raw}» دستگاه این گزارش نیست",
        "بررسی کنید فایل از آنِ کدام دستگاه است.",
    ),
    (
        "rounded-identifier",
        "{field} '{raw}' was stored as a number and has lost its last digits",
        "Format the column as text before typing identifiers.",
        "شناسه «{raw}» به صورت عدد ذخیره و رقم‌های آخر آن گم شده است",
        "قالب ستون را پیش از ورود شناسه متن کنید.",
    ),
    (
        "one-subject",
        "the row names neither or both of indicator and project",
        "Give exactly one of them.",
        "ردیف باید دقیقاً یکی از شاخص یا پروژه را داشته باشد",
        "فقط یکی از دو خانه را پر کنید.",
    ),
    (
        "duplicate-row",
        "the row says the same as an earlier row, in other words",
        "Keep one of the rows.",
        "این ردیف تکرار ردیف دیگری با نوشتار متفاوت است",
        "یکی از ردیف‌ها را نگه دارید.",
    ),
    (
        "conflicting-rows",
        "several rows have the same key and different values",
        "Keep the right row and delete the others.",
        "چند ردیف با کلید یکسان مقدارهای متفاوت دارند",
        "ردیف درست را نگه دارید و بقیه را حذف کنید.",
    ),
)

_LISTS: Final[tuple[tuple[str, str, str], ...]] = (
    ("province", "province", "استان"),
    ("agency", "agency", "دستگاه"),
    ("project", "project", "پروژه"),
    ("indicator", "indicator", "شاخص"),
    ("obligation", "obligation", "تکلیف"),
    ("instrument", "instrument", "سند"),
    ("metric", "metric", "سنجه"),
)

_FILES: Final[tuple[tuple[str, str, str, str, str], ...]] = (
    (
        "mixed-digits",
        "{field} mixes Persian, Arabic and Latin digits within a cell: {detail}",
        "Nothing to do; check the keyboard of whoever types the file.",
        "در این ستون رقم‌های فارسی، عربی و لاتین در یک خانه آمده‌اند: {detail}",
        "اقدامی لازم نیست؛ صفحه‌کلید را بررسی کنید.",
    ),
    (
        "external-link",
        "{field} is computed from another workbook, which may have changed since: {detail}",
        "Nothing to do if the figure is right; better send values than links.",
        "مقدار این ستون از فایل دیگری گرفته شده است: {detail}",
        "اگر رقم درست است اقدامی لازم نیست؛ بهتر است مقدار ثابت بفرستید.",
    ),
    (
        "total-differs",
        "a total row differs from the sum of its rows: {detail}",
        "Correct the total or the rows; the rows were taken as they stand.",
        "ردیف جمع با حاصل‌جمع ردیف‌ها برابر نیست: {detail}",
        "ردیف جمع یا ردیف‌های آن را اصلاح کنید؛ ردیف‌ها همان‌گونه که هست پذیرفته شد.",
    ),
    (
        "value-fell",
        "a cumulative figure is lower than in the period before",
        "Give the reason, or correct the figure.",
        "مقدار تجمعی از دوره پیش کمتر شده است",
        "علت کاهش را اعلام یا مقدار را اصلاح کنید.",
    ),
    (
        "no-longer-reported",
        "a record that was reported before is missing from this delivery and stays in force",
        "Ask whether it was forgotten, or has ended.",
        "رکوردی که پیش‌تر گزارش شده بود در این گزارش نیست و همچنان معتبر است",
        "روشن کنید از قلم افتاده یا پایان یافته است؛ پایان‌یافته را با علت اعلام کنید.",
    ),
    (
        "hidden-rows",
        "the file holds hidden rows, columns or sheets that were read: {detail}",
        "Delete them, or set hidden: exclude in the source file.",
        "ردیف یا ستون یا برگه پنهان خوانده شد: {detail}",
        "بخش‌های پنهان را حذف کنید.",
    ),
)

_RESEND: Final = "Save the file again and send it once more."
_RESEND_FA: Final = "فایل را دوباره ذخیره و ارسال کنید."
_TOO_LARGE: Final = (
    "the file is larger than what is read here",
    "Send it without empty rows and columns, or in several files.",
    "فایل بزرگ‌تر از حد مجاز است",
    "ردیف‌ها و ستون‌های خالی را حذف یا فایل را چند بخش کنید.",
)

# Files that are refused as a whole; the finding itself says more in its own words.
_REFUSALS: Final[tuple[tuple[str, str, str, str, str], ...]] = (
    ("empty-file", "the file is empty", _RESEND, "فایل خالی است", _RESEND_FA),
    (
        "damaged-file",
        "the file is damaged or incomplete",
        _RESEND,
        "فایل آسیب دیده یا ناقص است",
        _RESEND_FA,
    ),
    (
        "reader-crashed",
        "the workbook cannot be read",
        _RESEND,
        "فایل صفحه‌گسترده خوانده نمی‌شود",
        _RESEND_FA,
    ),
    (
        "password-protected",
        "the workbook is protected by a password",
        "Send it without a password.",
        "فایل گذرواژه دارد",
        "فایل را بدون گذرواژه ارسال کنید.",
    ),
    (
        "unsupported-format",
        "the file has a format that is not read here",
        "Send an xlsx workbook or a CSV table.",
        "قالب فایل پشتیبانی نمی‌شود",
        "فایل را با قالب xlsx یا csv ارسال کنید.",
    ),
    (
        "no-sheets",
        "the workbook has no sheet with cells",
        _RESEND,
        "هیچ برگه‌ای در فایل داده ندارد",
        _RESEND_FA,
    ),
    (
        "mojibake",
        "the text has been damaged by a wrong encoding",
        "Export it again as UTF-8.",
        "نویسه‌های متن با کدگذاری نادرست خراب شده است",
        "فایل را با کدگذاری UTF-8 دوباره بسازید.",
    ),
    (
        "encoding-unknown",
        "the encoding of the text cannot be told",
        "Export it again as UTF-8.",
        "کدگذاری متن معلوم نیست",
        "فایل را با کدگذاری UTF-8 دوباره بسازید.",
    ),
    (
        "separator-unclear",
        "the separator between the columns cannot be told",
        "Export the table again with ';' or tab between the columns.",
        "جداکننده ستون‌ها معلوم نیست",
        "جدول را با جداکننده «;» دوباره بسازید.",
    ),
    (
        "broken-quotes",
        "a quoted text of the table does not end",
        _RESEND,
        "گیومه یکی از متن‌های جدول بسته نشده است",
        _RESEND_FA,
    ),
    ("file-too-large", *_TOO_LARGE),
    ("too-many-cells", *_TOO_LARGE),
    ("workbook-too-large", *_TOO_LARGE),
    ("workbook-timeout", *_TOO_LARGE),
    ("archive-bomb", *_TOO_LARGE),
    (
        "header-not-found",
        "no row of the sheet names the expected columns",
        "Check that this is the right file; titles must be those of the form.",
        "سرستون‌های مورد انتظار در برگه پیدا نشد",
        "فایل درست را بفرستید و عنوان ستون‌ها را تغییر ندهید.",
    ),
    (
        "missing-column",
        "a compulsory column is missing",
        "Add the column with the title of the form.",
        "یکی از ستون‌های الزامی در فایل نیست",
        "ستون را با همان عنوان فرم اضافه کنید.",
    ),
    (
        "duplicate-header",
        "two columns have the same title",
        "Rename one of the columns.",
        "دو ستون یک عنوان دارند",
        "عنوان یکی از ستون‌ها را تغییر دهید.",
    ),
    (
        "period-mismatch",
        "the title speaks of another year than the declared period",
        "Check which year the file is of.",
        "عنوان فایل از سال دیگری است",
        "بررسی کنید فایل از کدام سال است.",
    ),
    (
        "second-header",
        "a second table with other columns begins below the first",
        "Put one table on a sheet, or give both the same columns.",
        "زیر جدول نخست، جدول دیگری با ستون‌های متفاوت آمده است",
        "در هر برگه یک جدول بگذارید یا ستون‌های هر دو را یکسان کنید.",
    ),
    (
        "missing-sheet",
        "an expected sheet is missing",
        "Keep the sheets of the form and their names.",
        "یکی از برگه‌های فرم در فایل نیست",
        "برگه‌های فرم و نام آن‌ها را حفظ کنید.",
    ),
    (
        "no-records",
        "the file has no records",
        "Fill in the form and send it again.",
        "فایل هیچ ردیف داده‌ای ندارد",
        "فرم را پر و دوباره ارسال کنید.",
    ),
    (
        "empty-after-data",
        "the file has no records although earlier ones had",
        "Send the report; what was loaded before stays in force.",
        "این فایل برخلاف فایل‌های پیشین هیچ ردیف داده‌ای ندارد",
        "گزارش را دوباره ارسال کنید؛ داده‌های پیشین معتبر می‌ماند.",
    ),
    (
        "too-few-rows",
        "the file has fewer readable rows than the source promises",
        "Send the whole report.",
        "تعداد ردیف‌های خوانده‌شده کمتر از حد مورد انتظار است",
        "گزارش کامل را ارسال کنید.",
    ),
    (
        "too-many-quarantined",
        "most rows of the file could not be read",
        "Correct the listed cells, or use the agreed form.",
        "بیشتر ردیف‌های فایل خوانده نشد",
        "خانه‌های فهرست‌شده را اصلاح یا از فرم توافق‌شده استفاده کنید.",
    ),
    (
        "shrunk",
        "the file is much smaller than the last one",
        "Send the whole report.",
        "فایل بسیار کوچک‌تر از فایل پیشین است",
        "گزارش کامل را ارسال کنید.",
    ),
    (
        "unit-jump",
        "the figures are a power of ten away from the last ones: the unit seems to differ",
        "Check the unit of the column and send the report in the agreed one.",
        "ارقام نسبت به گزارش پیشین ده، صد، هزار یا میلیون برابر شده و گویا واحد تغییر کرده است",
        "واحد ستون را بررسی و گزارش را با واحد توافق‌شده ارسال کنید.",
    ),
    (
        "not-a-table",
        "the file holds a document, no table",
        "Save the table as .xlsx or .csv and send it again.",
        "فایل جدول نیست",
        "جدول را با قالب xlsx یا csv بفرستید.",
    ),
    (
        "html-without-table",
        "the file is a web page without a table",
        "Save the table as .xlsx or .csv and send it again.",
        "فایل یک صفحه وب بدون جدول است",
        "جدول را با قالب xlsx یا csv بفرستید.",
    ),
    ("bad-json", "the answer is no valid JSON", _CORRECT, "پاسخ JSON معتبر نیست", _CORRECT_FA),
    (
        "not-a-record",
        "an entry of the answer is no record",
        _CORRECT,
        "یکی از اجزای پاسخ رکورد نیست",
        _CORRECT_FA,
    ),
    (
        "records-not-found",
        "the answer has no list of records where one is expected",
        "Compare the answer with records_at in the source file.",
        "فهرست رکوردها در پاسخ نیست",
        "ساختار پاسخ را به شکل توافق‌شده برگردانید.",
    ),
    (
        "mixed-parts",
        "some parts of the answer are JSON and others are tables",
        "Fetch the source again.",
        "بخش‌های پاسخ هم‌شکل نیستند",
        "همه بخش‌های پاسخ را به یک شکل برگردانید.",
    ),
    (
        "ambiguous-names",
        "two different names of a record are read as one",
        "Rename one of them at the source.",
        "دو نام متفاوت در رکورد یکسان خوانده می‌شوند",
        "یکی از دو نام را عوض کنید.",
    ),
    (
        "columns-unclear",
        "the columns of the text cannot be told apart for certain",
        "Say in the source file how the text is cut, or send a CSV table.",
        "ستون‌های متن را نمی‌توان با اطمینان از هم جدا کرد",
        "جدول را با قالب csv یا xlsx ارسال کنید.",
    ),
    (
        "anchor-not-found",
        "the text above or below which the table should stand is missing",
        "Correct 'after' or 'until' in the source file, or send the agreed form.",
        "نوشته‌ای که جدول باید پس یا پیش از آن بیاید در فایل نیست",
        "فایل را مطابق الگوی توافق‌شده ارسال کنید.",
    ),
    (
        "anchor-ambiguous",
        "the text above the table stands in several rows",
        "Give more of the text under 'after' in the source file.",
        "نوشته بالای جدول در چند ردیف آمده است",
        "عنوان هر جدول را یکتا بنویسید.",
    ),
    (
        "overlapping-tables",
        "two declared tables share cells of a sheet",
        "Say in the source file where each table begins and ends.",
        "محدوده دو جدول تعریف‌شده روی هم می‌افتد",
        "با گرداننده سامانه تماس بگیرید.",
    ),
    (
        "table-without-header",
        "figures stand beside or below the table without a header",
        "Give every table its header, or say in the source file where the tables lie.",
        "بخشی از ارقام برگه سرستون ندارد",
        "برای هر جدول سرستون بگذارید.",
    ),
    (
        "unclear-title",
        "the title of a column names no period, though it should",
        "List the title under unpivot.ignore, or give it an entry of its own.",
        "عنوان ستون دوره‌ای را که باید نشان دهد نشان نمی‌دهد",
        "سال یا ماه را در عنوان ستون روشن بنویسید.",
    ),
    (
        "label-mismatch",
        "a cell of the form does not say what the agreed form says there",
        "Correct the addresses in the source file, or send the agreed form.",
        "خانه‌های فرم جابه‌جا شده یا فرم تغییر کرده است",
        "فرم توافق‌شده را بی‌تغییر پر و ارسال کنید.",
    ),
    (
        "duplicate-cell",
        "two records of the form are read from one cell",
        "Correct the address of one of them in the source file.",
        "دو رکورد فرم از یک خانه خوانده می‌شوند",
        "با گرداننده سامانه تماس بگیرید.",
    ),
    (
        "ambiguous-layout",
        "several layouts of the source file fit the file alike",
        "Tell the layouts apart by valid_from, sheets or headers.",
        "چند قالب تعریف‌شده به یک اندازه با فایل می‌خوانند",
        "با گرداننده سامانه تماس بگیرید.",
    ),
    (
        "no-layout",
        "no layout of the source file is in force on the day of receipt",
        "Add a layout to the source file, or correct its valid_from.",
        "برای تاریخ دریافت قالبی تعریف نشده است",
        "با گرداننده سامانه تماس بگیرید.",
    ),
    (
        "bad-cell-address",
        "the source file names a cell that cannot exist",
        "Write the address like B7 or Sheet1!B7 in the source file.",
        "نشانی خانه در تعریف منبع نادرست است",
        "با گرداننده سامانه تماس بگیرید.",
    ),
)


def _of_list(name: str, english: str, persian: str) -> tuple[Reason, ...]:
    """What can be wrong with a name of the code list `name`."""
    return (
        Reason(
            f"unknown-{name}",
            f"{{field}} '{{raw}}' is no known {english}",
            f"Correct the spelling, or add it to alias_{name}.csv once it is certain.",
            f"{persian} «{{raw}}» شناخته نیست",
            "نام را مطابق فهرست رسمی بنویسید.",
        ),
        Reason(
            f"ambiguous-{name}",
            f"{{field}} '{{raw}}' names more than one {english}",
            "Write the full official name or the code.",
            f"«{{raw}}» نام بیش از یک {persian} است",
            "نام کامل رسمی را بنویسید.",
        ),
        Reason(
            f"{name}-not-yet",
            "{field} '{raw}' did not exist in that period",
            "Check the period and the name.",
            f"{persian} «{{raw}}» در آن دوره هنوز وجود نداشت",
            "دوره و نام را بررسی کنید.",
        ),
        Reason(
            f"{name}-no-longer",
            "{field} '{raw}' no longer existed in that period",
            "Check the period and the name.",
            f"{persian} «{{raw}}» در آن دوره دیگر وجود نداشت",
            "دوره و نام را بررسی کنید.",
        ),
    )


REASONS: Final[dict[str, Reason]] = {
    entry.code: entry
    for entry in (
        *(Reason(*texts) for texts in (*_CELLS, *_ROWS, *_FILES, *_REFUSALS)),
        *(found for names in _LISTS for found in _of_list(*names)),
    )
}
_OF_A_LIST: Final = re.compile(r"^(?:unknown|ambiguous)-(.+)$|^(.+)-(?:not-yet|no-longer)$")


def reason(code: str) -> Reason:
    """The reason called `code`, also for lists that a deployment adds; KeyError if not listed."""
    known = REASONS.get(code)
    if known is not None:
        return known
    match = _OF_A_LIST.match(code)
    if match is None:
        raise KeyError(f"the reason '{code}' is not listed in ingestion.contracts.reasons")
    name = match[1] or match[2]
    return next(entry for entry in _of_list(name, name, name) if entry.code == code)
