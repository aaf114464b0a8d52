// Phone numbers as people write them.

/**
 * A number as people write it, without its blanks, brackets and dashes. SIP addresses stay as they are, and so does "(0)",
 * which is dialled at home only: the server refuses it, and nobody is called by mistake.
 */
export const plainNumber = (text: string) => (/^sips?:/i.test(text.trim()) || text.includes("(0)") ? text.trim() : text.replace(/[\s().\-/]/g, "").replace(/^00/, "+"));
