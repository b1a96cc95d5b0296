// The chosen language; `t` re-renders what reads it because the language is a signal.
import { signal } from '@preact/signals'
import { TEXTS, type TextKey } from './texts.ts'

export const LANGUAGES = ['en', 'zh'] as const
export type Language = (typeof LANGUAGES)[number]

function initial(): Language {
  const kept = localStorage.getItem('language')
  if (kept === 'en' || kept === 'zh') return kept
  return navigator.language.startsWith('zh') ? 'zh' : 'en'
}

export const language = signal<Language>(initial())

export function setLanguage(next: Language): void {
  language.value = next
  localStorage.setItem('language', next)
  document.documentElement.lang = next
}

/** The text of a key in the chosen language, with `{name}` replaced. */
export function t(key: TextKey, values: Record<string, string | number> = {}): string {
  const text: string = TEXTS[language.value][key]
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole))
}

/** What a size of a finding is called, undefined when its name says enough. */
export function sizeWord(key: string): string | undefined {
  return `size.${key}` in TEXTS.en ? t(`size.${key}` as TextKey) : undefined
}

/** The text of a key that comes from data; the bare word when the page does not know it yet. */
export function tData(
  prefix: 'kind' | 'sub' | 'class' | 'severity' | 'quantity' | 'state' | 'desk.do' | 'desk.step',
  word: string,
): string {
  const key = `${prefix}.${word}`
  return key in TEXTS.en ? t(key as TextKey) : word.replaceAll('_', ' ')
}
