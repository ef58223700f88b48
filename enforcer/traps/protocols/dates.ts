/** Dates as servers write them. A pure room has no Date: the calendar is computed (days to civil, H. Hinnant). Always in UTC. */
import { DAY_MS, type UnixMs } from '@honeymesh/intel/time';

const DAYS = ['Thu', 'Fri', 'Sat', 'Sun', 'Mon', 'Tue', 'Wed'] as const; // 1970-01-01 was a Thursday
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

interface Parts {
  readonly weekday: string;
  readonly day: number;
  readonly month: number;
  readonly year: number;
  /** `hh:mm:ss` */
  readonly clock: string;
}

const two = (number: number): string => String(number).padStart(2, '0');

function partsOf(at: UnixMs): Parts {
  const days = Math.floor(at / DAY_MS);
  const seconds = Math.floor((at - days * DAY_MS) / 1000);
  const shifted = days + 719_468; // since 0000-03-01
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return {
    weekday: DAYS[((days % 7) + 7) % 7] ?? 'Thu',
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
    month,
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    clock: `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`,
  };
}

let lastSecond = Number.NaN;
let lastText = '';

/** `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7). The last text is kept: under load most answers fall into one second. */
export function httpDate(at: UnixMs): string {
  const second = Math.floor(at / 1000);
  if (second !== lastSecond) {
    const { weekday, day, month, year, clock } = partsOf(at);
    lastText = `${weekday}, ${two(day)} ${MONTHS[month - 1]} ${year} ${clock} GMT`;
    lastSecond = second;
  }
  return lastText;
}

/** `Sun, 06 Nov 1994 08:49:37 +0000` (RFC 5322, 3.3). */
export function rfc5322(at: UnixMs): string {
  const { weekday, day, month, year, clock } = partsOf(at);
  return `${weekday}, ${two(day)} ${MONTHS[month - 1]} ${year} ${clock} +0000`;
}
