const prototypeKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** True for names that lead to the prototype of every object where somebody copies or merges them: never data. */
export const isPrototypeKey = (name: string): boolean => prototypeKeys.has(name);
