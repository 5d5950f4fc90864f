namespace MetaStore.Net;

/// <summary>Range checks of settings, with messages that name the setting, its value and what would be right.</summary>
internal static class OptionCheck
{
    public static void AtLeast(long value, long least, string name)
    {
        if (value < least)
        {
            throw new ArgumentException($"{name} is {value}; it must be at least {least}.", name);
        }
    }

    public static void Between(long value, long least, long most, string name)
    {
        if (value < least || value > most)
        {
            throw new ArgumentException($"{name} is {value}; it must lie between {least} and {most}.", name);
        }
    }

    public static void Between(TimeSpan value, TimeSpan least, TimeSpan most, string name)
    {
        if (value < least || value > most)
        {
            throw new ArgumentException($"{name} is {value}; it must lie between {least} and {most}.", name);
        }
    }
}
