/** Buttons: `primary` once per view, `quiet` for the rest, `icon` for a symbol that carries its name in `label`. */
import styles from './button.module.css';

/**
 * @param {{kind?: 'primary'|'plain'|'quiet'|'danger', small?: boolean, wide?: boolean}
 *   & React.ButtonHTMLAttributes<HTMLButtonElement> & {ref?: React.Ref<HTMLButtonElement>}} props
 */
export function Button({
  kind = 'plain',
  small = false,
  wide = false,
  type = 'button',
  className = '',
  ...rest
}) {
  const classes = [styles.button, styles[kind], small && styles.small, wide && styles.wide, className];
  return <button {...rest} type={type} className={classes.filter(Boolean).join(' ')} />;
}

/** `title`: where more is to be told than its name. @param {{label: string} & React.ButtonHTMLAttributes<HTMLButtonElement> & {ref?: React.Ref<HTMLButtonElement>}} props */
export function IconButton({ label, title = label, className = '', ...rest }) {
  return (
    <button
      {...rest}
      type="button"
      aria-label={label}
      title={title}
      className={`${styles.icon} ${className}`}
    />
  );
}
