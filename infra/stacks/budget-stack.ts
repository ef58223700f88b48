/** What the hub may cost before somebody is told. A stack of its own: a budget belongs to the account, and is there before and after the hub. */
import { Stack, type StackProps } from 'aws-cdk-lib';
import { CfnBudget } from 'aws-cdk-lib/aws-budgets';
import type { Construct } from 'constructs';

const WARN_AT_PERCENT = 80;

export class BudgetStack extends Stack {
  constructor(
    scope: Construct,
    id: string,
    { name, mail, dollars, ...props }: StackProps & { readonly name: string; readonly mail: string; readonly dollars: number },
  ) {
    super(scope, id, props);
    const call = (notificationType: 'ACTUAL' | 'FORECASTED', threshold: number): CfnBudget.NotificationWithSubscribersProperty => ({
      notification: { notificationType, comparisonOperator: 'GREATER_THAN', threshold, thresholdType: 'PERCENTAGE' },
      subscribers: [{ subscriptionType: 'EMAIL', address: mail }],
    });
    new CfnBudget(this, 'Budget', {
      budget: {
        budgetName: `${name}-hub`,
        budgetType: 'COST',
        timeUnit: 'MONTHLY',
        budgetLimit: { amount: dollars, unit: 'USD' },
        costFilters: { TagKeyValue: [`user:application$${name}`] },
      },
      notificationsWithSubscribers: [call('ACTUAL', WARN_AT_PERCENT), call('FORECASTED', 100)],
    });
  }
}
