/** The password that the account has now. */
import { Field } from '../ui/field.js';

/** @param {{value: string, onChange: (value: string) => void, readOnly: boolean, label?: string}} props */
export function PasswordField({ value, onChange, readOnly, label = 'Current password' }) {
  return (
    <Field
      label={label}
      name="current_password"
      type="password"
      autoComplete="current-password"
      value={value}
      onChange={(event) => onChange(event.target.value)}
      readOnly={readOnly}
    />
  );
}
