// Writes train.csv and test.csv of the loan-default example: `node examples/loan-default/generate.mjs`.
// Everything is drawn from one seeded generator (mulberry32, Tommy Ettinger, public domain algorithm), so that the
// committed files can be made again byte for byte. No person stands behind any row.
import { writeFileSync } from 'node:fs';

const SEED = 20261121;
const ROWS = { 'train.csv': 6000, 'test.csv': 2500 };

let state = SEED >>> 0;
const uniform = () => {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = state;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
const between = (low, high, value) => Math.min(high, Math.max(low, value));
const pick = (weights) => {
  let rest = uniform();
  for (const [name, weight] of Object.entries(weights)) {
    rest -= weight;
    if (rest < 0) return name;
  }
  return Object.keys(weights).at(-1);
};

const employmentRisk = { salaried: -0.5, 'self-employed': 0.3, part_time: 0.5, unemployed: 1.4 };
const purposeRisk = { home: -0.4, car: 0, education: 0.1, business: 0.7 };

function row(index) {
  const age = Math.round(between(18, 80, 42 + 13 * normal()));
  const sex = pick({ female: 0.5, male: 0.5 });
  const employment = pick({
    salaried: 0.62,
    'self-employed': 0.16,
    part_time: 0.14,
    unemployed: 0.08,
  });
  const purpose = pick({ home: 0.34, car: 0.3, education: 0.14, business: 0.22 });
  const income = Math.round(between(9000, 240000, Math.exp(10.45 + 0.45 * normal())) / 100) * 100;
  const amount = Math.round(between(1000, 120000, Math.exp(9.5 + 0.65 * normal())) / 100) * 100;
  const term = Number(pick({ 12: 0.2, 24: 0.3, 36: 0.3, 60: 0.2 }));
  const priorDefaults = Number(pick({ 0: 0.78, 1: 0.15, 2: 0.05, 3: 0.02 }));
  const burden = (12 * amount) / (term * income);
  const risk =
    -2.6 +
    4.5 * Math.min(burden, 1.2) +
    1.35 * priorDefaults +
    employmentRisk[employment] +
    purposeRisk[purpose] -
    0.02 * (age - 42);
  const defaulted = uniform() < 1 / (1 + Math.exp(-1.4 * risk));
  const id = `A-${String(index).padStart(6, '0')}`;
  return [
    id,
    age,
    sex,
    employment,
    purpose,
    income,
    amount,
    term,
    priorDefaults,
    defaulted ? 'yes' : 'no',
  ].join(',');
}

const header =
  'applicant_id,age,sex,employment,purpose,income,amount,term_months,prior_defaults,defaulted';
let index = 0;
for (const [name, count] of Object.entries(ROWS)) {
  const lines = Array.from({ length: count }, () => row(++index));
  writeFileSync(new URL(name, import.meta.url), `${[header, ...lines].join('\n')}\n`);
}
